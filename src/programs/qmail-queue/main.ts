#!/usr/bin/env node
import { createReadStream } from "node:fs";
import { submitMessage } from "../../services/injection/submit.ts";
import { findLayout } from "../../services/layout/find-layout.ts";
import { take } from "./take.ts";

const oneDayMs = 86_400_000;

const exitCode = await take({
  message: process.stdin,
  envelope: createReadStream("", { fd: 1, autoClose: false }),
  handIn: (request) => submitMessage(request, findLayout(undefined, process.env)),
  complain: (text) => process.stderr.write(`qmail-queue: ${text}\n`, "latin1"),
  longestMs: oneDayMs,
});
process.exit(exitCode); // the caller may still hold descriptors open
