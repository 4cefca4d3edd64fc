import assert from "node:assert/strict";
import { test } from "node:test";
import { parseInjectOptions } from "./command-line.ts";

const usual = { recipientsFrom: "header", arguments: [], reversePath: undefined, print: false, root: undefined };

const cases = [
  { args: [], options: {} },
  { args: ["a@b"], options: { recipientsFrom: "arguments", arguments: ["a@b"] } },
  { args: ["-h", "a@b"], options: { recipientsFrom: "header", arguments: ["a@b"] } },
  { args: ["-H", "a@b"], options: { recipientsFrom: "both", arguments: ["a@b"] } },
  { args: ["-a"], options: { recipientsFrom: "arguments" } },
  { args: ["-hA", "x"], options: { recipientsFrom: "arguments", arguments: ["x"] } },
  { args: ["-nfme@x"], options: { print: true, reversePath: "me@x" } },
  { args: ["-f", ""], options: { reversePath: "" } },
  { args: ["-n", "-N"], options: {} },
  { args: ["--root", "d", "--", "-x"], options: { root: "d", recipientsFrom: "arguments", arguments: ["-x"] } },
] as const;

for (const { args, options } of cases) {
  test(`§17.196 parseInjectOptions() reads ${args.join(" ") || "nothing"}`, () => {
    assert.deepEqual(parseInjectOptions(args), { kind: "done", value: { ...usual, ...options } });
  });
}

for (const args of [["-z"], ["-f"], ["-nz"], ["--root"]]) {
  test(`parseInjectOptions() refuses ${args.join(" ")}`, () => {
    assert.equal(parseInjectOptions(args).kind, "permanent");
  });
}
