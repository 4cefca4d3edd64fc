import assert from "node:assert/strict";
import { LogReport } from "../../../src/protocol/log-report/report.ts";
import { parseChannel, parseInfo, parseParagraphs, parseTodo } from "../../../src/protocol/qmail-queue/records.ts";
import { parseRc } from "../../../src/protocol/qmail-site/rc.ts";
import { assignLines, parseVpasswd, withAssignLines } from "../../../src/protocol/qmail-site/vpasswd.ts";
import { parseAssign } from "../../../src/protocol/users/assign.ts";
import type { Row } from "../explore.ts";
import { mutated } from "../mutate.ts";

const octets = (text: string): Buffer => Buffer.from(text, "latin1");

const envelopes = [
  "u1000\0p77\0Fs@d\0Ta@b\0Tc@d\0",
  "Fs@d\0",
  "Ta@b\0Dc@d\0",
  "F\0",
  "<u@d>:\nno\n\n<v@d>:\na\n/b\n\n\n",
];
const queueFiles: Row = {
  name: "files of qmail's queue",
  cases: 3_000,
  check(source) {
    const text = mutated(source, envelopes, ["\0", "\n\n", "T", "D", "F", "<", ">:\n"]);
    const todo = parseTodo(octets(text));
    if (todo.kind === "done") {
      const { reversePath, forwardPaths, uid } = todo.value;
      assert.ok(text.includes(`F${reversePath}\0`) && uid >= 0 && uid < 2 ** 32);
      for (const forwardPath of forwardPaths) assert.ok(text.includes(`T${forwardPath}\0`));
    }
    const channel = parseChannel(octets(text));
    if (channel.kind === "done") {
      const written = channel.value.map(({ done, address }) => `${done ? "D" : "T"}${address}\0`).join("");
      assert.equal(written, text);
    }
    const info = parseInfo(octets(text));
    if (info.kind === "done") assert.equal(`F${info.value}\0`, text);
    const kept = parseParagraphs(octets(text)).map((each) => each.forwardPath + each.text);
    const letters = (all: string): string => all.replace(/[\n<>:]/g, "");
    assert.equal(letters(kept.join("")), letters(text), "what was to be told is lost");
  },
};

const siteFiles: Row = {
  name: "rc and vpasswd",
  cases: 2_000,
  check(source) {
    const rc = parseRc(mutated(source, ["qmail-start ./Maildir/ splogger\n", "qmail-start '|x\n./Mailbox' \\\n y\n"]));
    if (rc.kind === "lines") for (const line of rc.lines) assert.match(line, /^[^\n]+$/);
    const accounts = parseVpasswd(mutated(source, ["ann:$1$x:1:0:Ann:/d/ann:NOQUOTA:x\nbob:x:1:0:B:/d/bob:1S\n"]));
    if (accounts.kind !== "done") return;
    const lines = assignLines(accounts.value, { prefix: "d", uid: 1, gid: 2 }, () => false);
    assert.equal(parseAssign(withAssignLines(".\n", lines)).kind, "done");
  },
};

const logLines = [
  "@40000000304d27c80ee6b280 new msg 1",
  "810362814.250000 info msg 1: bytes 10 from <a@b> qp 1 uid 0",
  "1995-09-06T04:46:54.250Z starting delivery 1: msg 1 to local a@b",
  "Sep  6 04:46:54 mx qmail: 810362814.250000 delivery 1: failure: 192.0.2.1_said:_550_no_<a@b>/",
  '{"timeMs":1,"program":"queue","event":"info","message":1,"octets":9,"reversePath":"a\\u00ff","uid":0}',
  '{"timeMs":1,"program":"queue","event":"delivery","delivery":1,"result":"deferral","text":"x\\n"}',
  "810362814.25 end msg 1",
];
const logs: Row = {
  name: "log lines",
  cases: 2_000,
  check(source) {
    const report = new LogReport();
    const lines = source.list(20, () => mutated(source, logLines));
    for (const line of lines) report.take(line);
    assert.ok(report.unread + report.unmatched <= report.lines * 2 && report.lines <= lines.length);
    assert.ok(Number.isFinite(report.lastMs) && Number.isFinite(report.arrivedOctets));
    for (const tally of [report.domains, report.senders, report.failures, report.deferrals, report.refusals]) {
      for (const [key] of tally.top(99, () => 1)) assert.match(key, /^[ -~]*$/);
    }
  },
};

export const qmailRows: readonly Row[] = [queueFiles, siteFiles, logs];
