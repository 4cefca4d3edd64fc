#!/usr/bin/env node
import { runProgram } from "../../services/program/program.ts";
import { readConfig } from "./config.ts";
import { createRemote } from "./remote.ts";

runProgram("remote", async ({ settings, facts, log }) => {
  const config = readConfig(settings, facts);
  if (config.kind !== "done") return config;
  return createRemote({
    config: config.value,
    readConfig: (fresh) => readConfig(fresh, facts),
    log,
    random: Math.random,
    now: () => performance.now(),
    tickMs: 1_000,
  });
});
