#!/usr/bin/env node
import { once } from "node:events";
import { returnPathLine } from "../../protocol/bounce/notice.ts";
import type { Completed } from "../../protocol/header/complete.ts";
import type { Failure } from "../../protocol/outcome.ts";
import { complete } from "../../services/injection/inject.ts";
import { readMessage } from "../../services/injection/read-message.ts";
import { submit } from "../../services/injection/submit.ts";
import { findLayout } from "../../services/layout/find-layout.ts";
import { injectUsage, parseInjectOptions } from "./command-line.ts";

process.exitCode = await run();

async function run(): Promise<number> {
  const options = parseInjectOptions(process.argv.slice(2));
  if (options.kind !== "done") return fatal(options, `\n\n${injectUsage}`);
  if (options.value === "help") {
    process.stdout.write(injectUsage);
    return 0;
  }
  const layout = findLayout(options.value.root, process.env);
  const message = await readMessage(process.stdin);
  if (message.kind !== "done") return fatal(message);
  const completed = complete(message.value, options.value, process.env, layout);
  if (completed.kind !== "done") return fatal(completed);
  if (options.value.print) {
    await print(completed.value);
    return 0;
  }
  const submitted = await submit(completed.value, layout, process.env);
  return submitted.kind === "done" ? 0 : fatal(submitted);
}

async function print({ header, body, reversePath }: Completed): Promise<void> {
  process.stdout.write(returnPathLine(reversePath) + header, "latin1");
  if (body && !process.stdout.write(body)) await once(process.stdout, "drain");
}

function fatal(failure: Failure, more = "\n"): number {
  process.stderr.write(`postern inject: fatal: ${failure.text}${more}`, "latin1");
  return failure.kind === "permanent" ? 100 : 111;
}
