import assert from "node:assert/strict";
import { test } from "node:test";
import { permanent, temporary } from "../../protocol/outcome.ts";
import { parseSendmailOptions } from "./command-line.ts";
import { exitCode } from "./exit-code.ts";

const usual = {
  mode: "send",
  fromHeader: false,
  recipients: [],
  reversePath: undefined,
  name: undefined,
  root: undefined,
};

const cases = [
  { args: ["-t"], options: { fromHeader: true } },
  { args: ["-ti"], options: { fromHeader: true } },
  { args: ["-it", "a@b"], options: { fromHeader: true, recipients: ["a@b"] } },
  { args: ["-t", "-i", "-oi", "-oem", "-om"], options: { fromHeader: true } },
  { args: ["-i", "-f", "me@x", "a@b", "c@d"], options: { reversePath: "me@x", recipients: ["a@b", "c@d"] } },
  {
    args: ["-fme@x", "-FJoe User", "--", "-a@b"],
    options: { reversePath: "me@x", name: "Joe User", recipients: ["-a@b"] },
  },
  { args: ["-f", "", "a"], options: { reversePath: "", recipients: ["a"] } },
  { args: ["-r", "me@x", "a"], options: { reversePath: "me@x", recipients: ["a"] } },
  {
    args: ["-B", "8BITMIME", "-N", "failure,delay", "-Nnever", "-V", "id", "-R", "hdrs", "a"],
    options: { recipients: ["a"] },
  },
  {
    args: ["-O", "DeliveryMode=b", "-ODeliveryMode=b", "-h", "5", "-X/dev/null", "-p", "x", "a"],
    options: { recipients: ["a"] },
  },
  { args: ["-bm", "-v", "-n", "-m", "-U", "-G", "a"], options: { recipients: ["a"] } },
  { args: ["-bp"], options: { mode: "list queue" } },
  { args: ["-q"], options: { mode: "run queue" } },
  { args: ["-q15m", "-v"], options: { mode: "run queue" } },
  { args: ["-bs"], options: { mode: "serve" } },
  { args: ["-bi"], options: { mode: "nothing" } },
  { args: ["--root", "d", "a"], options: { root: "d", recipients: ["a"] } },
  { args: ["--help"], options: { mode: "help" } },
] as const;

for (const { args, options } of cases) {
  test(`§17.213 parseSendmailOptions() reads ${args.join(" ")}`, () => {
    assert.deepEqual(parseSendmailOptions(args), { kind: "done", value: { ...usual, ...options } });
  });
}

for (const args of [["-bd"], ["-f"], ["-Z"], ["-iZ"]]) {
  test(`parseSendmailOptions() refuses ${args.join(" ")} as wrong use`, () => {
    const outcome = parseSendmailOptions(args);
    assert.equal(outcome.kind === "permanent" && exitCode(outcome), 64);
  });
}

const codes = [
  { failure: temporary("3.0", ""), code: 75 },
  { failure: permanent("1.3", ""), code: 67 },
  { failure: permanent("6.11", ""), code: 65 },
  { failure: permanent("3.4", ""), code: 65 },
  { failure: permanent("3.5", ""), code: 78 },
  { failure: permanent("7.1", ""), code: 77 },
  { failure: permanent("3.0", ""), code: 69 },
] as const;

for (const { failure, code } of codes) {
  test(`exitCode() of ${failure.kind} ${failure.status} is ${code}`, () => assert.equal(exitCode(failure), code));
}
