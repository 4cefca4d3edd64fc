import assert from "node:assert/strict";
import { writeLogLine } from "../../../src/programs/postern/log-line.ts";
import { composeDsn } from "../../../src/protocol/bounce/dsn.ts";
import type { Notice } from "../../../src/protocol/bounce/notice.ts";
import { composeQsbmf } from "../../../src/protocol/bounce/qsbmf.ts";
import { formatDate, formatStamp } from "../../../src/protocol/date.ts";
import {
  deliveredToLine,
  environmentOf,
  returnPathLine,
  traceLines,
} from "../../../src/protocol/dot-qmail/environment.ts";
import { renderClassic } from "../../../src/protocol/event/classic.ts";
import type { Event } from "../../../src/protocol/event/event.ts";
import { fromLine } from "../../../src/protocol/mbox/from-line.ts";
import { createMboxQuoter } from "../../../src/protocol/mbox/quote.ts";
import { parseQueueRow } from "../../../src/services/operator-client/queue-row.ts";
import type { Row } from "../explore.ts";
import { mutated, readSeeds } from "../mutate.ts";
import { everyCut, type Source } from "../source.ts";

const hostileTexts = [...readSeeds("reports"), ...readSeeds("addresses")];
const hostile = (source: Source): string => mutated(source, hostileTexts);
const count = (source: Source): number => source.below(2 ** 32);

const events: readonly ((source: Source) => Event)[] = [
  (s) => ({ event: "new", message: count(s) }),
  (s) => ({ event: "info", message: count(s), octets: count(s), reversePath: hostile(s), uid: count(s) }),
  (s) => ({ event: "starting", delivery: 1, message: 2, channel: "local", recipient: hostile(s) }),
  (s) => ({ event: "delivery", delivery: 1, result: "deferral", text: hostile(s) }),
  (s) => ({ event: "status", local: 1, localLimit: 2, remote: 3, remoteLimit: 4, exiting: s.oneIn(2) }),
  (s) => ({ event: "bounce", message: count(s), bounce: count(s) }),
  (s) => ({ event: "triple bounce", message: count(s) }),
  (s) => ({ event: "end", message: count(s) }),
  (s) => ({ event: "operator", action: hostile(s), count: 1, uid: 0 }),
  (s) => ({ event: "connection", connection: 1, address: hostile(s), port: 25, service: hostile(s) }),
  (s) => ({ event: "accepted", connection: count(s), message: count(s), recipients: count(s) }),
  (s) => ({ event: "refusal", connection: 1, address: hostile(s), command: hostile(s), reply: hostile(s) }),
  (s) => ({ event: "disconnection", connection: 1, why: hostile(s), messages: 1 }),
  (s) => ({ event: "started", pid: count(s) }),
  (s) => ({ event: "stopped", pid: count(s) }),
  (s) => ({ event: "died", name: hostile(s), pid: 1, why: hostile(s), againInMs: 1 }),
  () => ({ event: "reloaded" }),
  (s) => ({ event: "warning", text: hostile(s) }),
  (s) => ({ event: "alert", text: hostile(s) }),
];

const rendering: Row = {
  name: "events",
  cases: 3_000,
  check(source) {
    const event = source.pick(events)(source);
    const logged = { ...event, timeMs: count(source) * 1_000, program: source.oneIn(3) ? hostile(source) : "queue" };
    assert.match(renderClassic(logged), /^[ -~]*$/);
  },
};

/** A line of the log that a taken-over program made up: fields of any kind. */
const logLine: Row = {
  name: "log line",
  cases: 3_000,
  check(source) {
    const made = { timeMs: count(source) * 1_000, program: "smtpd", ...source.pick(events)(source) };
    const strange: readonly unknown[] = [
      hostile(source),
      "\x1b[2J\n",
      null,
      -1,
      Number.POSITIVE_INFINITY,
      [hostile(source)],
      { a: "\u009b" },
      true,
    ];
    const fields = Object.entries(made).map(([name, value]) => [name, source.oneIn(4) ? source.pick(strange) : value]);
    const json = JSON.stringify(Object.fromEntries(fields));
    for (const form of ["iso", "tai64n", "none", "json"] as const) {
      for (const line of [json, mutated(source, [json])]) assert.match(writeLogLine(line, form) ?? "", /^[ -~]*$/);
    }
    const row = parseQueueRow({ ...made, recipients: [made, source.pick(strange)], reversePath: source.pick(strange) });
    for (const value of Object.values(row)) if (typeof value === "string") assert.match(value, /^[ -~]*$/);
  },
};

const mbox: Row = {
  name: "mbox",
  cases: 2_000,
  check(source) {
    const words = ["From ", ">From ", ">>From ", "Fro", "F", ">", "\n", "m ", "x", "\nFrom ", " From ", "\r\n"];
    const message = Buffer.from(source.text(words, 30), "latin1");
    const text = message.toString("latin1");
    const whole = text === "" || text.endsWith("\n") ? text : `${text}\n`;
    const expected = `${whole.replace(/^(>*From )/gm, (line, _, at) => (at === 0 || whole[at - 1] === "\n" ? `>${line}` : line))}\n`;
    for (const pieces of [[message], source.pieces(message), ...everyCut(message.subarray(0, 80))]) {
      const quoter = createMboxQuoter();
      const quoted = Buffer.concat([...pieces.flatMap((piece) => quoter.write(piece)), ...quoter.end()]).toString(
        "latin1",
      );
      if (Buffer.concat(pieces).equals(message)) assert.equal(quoted, expected);
      assert.doesNotMatch(quoted, /(?:^|\n)From /);
      assert.equal(
        quoted
          .slice(0, -1)
          .replace(/(^|\n)>(>*From )/g, "$1$2")
          .trimEnd(),
        Buffer.concat(pieces).toString("latin1").trimEnd(),
      );
    }
    assert.match(
      fromLine(hostile(source).replace(/[^ -~\t\n]/g, ""), count(source) * 1_000),
      /^From [!-~]+ [ -~]{24}\n$/,
    );
  },
};

const dates: Row = {
  name: "dates",
  cases: 2_000,
  check(source) {
    const ms = source.pick([0, 951_782_400_000, 253_402_300_799_000, count(source) * 1_000, count(source) * 50_000]);
    assert.equal(Date.parse(formatDate(ms)), Math.floor(ms / 1_000) * 1_000);
    const stamp = formatStamp(ms).replace(/^(....)(..)(..)(..)(..)(..)$/, "$1-$2-$3T$4:$5:$6Z");
    assert.equal(Date.parse(stamp), Math.floor(ms / 1_000) * 1_000);
  },
};

const delivered: Row = {
  name: "lines of a delivery",
  cases: 1_500,
  check(source) {
    const [local, domain, reversePath] = [hostile(source), hostile(source), hostile(source)];
    for (const line of [deliveredToLine(local, domain), returnPathLine(reversePath)]) assert.match(line, /^[^\n]*\n$/);
    const recipient = { user: "u", home: "/h", local, domain, extension: hostile(source), reversePath };
    assert.equal(traceLines(recipient).toString("latin1").split("\n").length, 3);
    const names = environmentOf(recipient, { matched: "x", newReversePath: reversePath, atMs: 0 }).map(
      ([name]) => name,
    );
    assert.equal(new Set(names).size, names.length);
  },
};

const actions = ["failed", "delayed", "delivered", "relayed", "expanded"] as const;

function noticeOf(source: Source): Notice {
  return {
    bounceFrom: "MAILER-DAEMON",
    bounceHost: "mx.example",
    reportingHost: "mx.example",
    to: hostile(source),
    reversePath: source.oneIn(3) ? "" : hostile(source),
    nowMs: count(source) * 1_000,
    arrivedMs: count(source) * 1_000,
    recipients: source.list(4, () => ({
      forwardPath: hostile(source),
      status: "1.1",
      text: hostile(source),
      originalRecipient: source.pick(["", hostile(source), `rfc822;${hostile(source)}`]),
      ...(source.oneIn(3) && { remoteHost: hostile(source) }),
    })),
    action: source.pick(actions),
    envelopeId: source.pick(["", "QQ+3D1", hostile(source)]),
    ...(source.oneIn(3) && { retryUntilMs: count(source) * 1_000 }),
    omitted: source.below(3),
    headerOnlyOver: source.oneIn(2) ? 100 : undefined,
  };
}

const fieldNames = (header: string): readonly string[] =>
  header
    .split("\n")
    .flatMap((line) => (/^[ \t]/.test(line) ? [] : [/^[!-9;-~]+(?=:)/.exec(line)?.[0] ?? `no field: ${line}`]));

const bounceFields = ["Date", "From", "To", "Subject"];
const mimeFields = [...bounceFields, "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"];

const dsn: Row = {
  name: "bounce",
  cases: 2_500,
  check(source) {
    const notice = noticeOf(source);
    const utf8 = source.oneIn(3);
    const mime = { boundary: "=_unknown-to-all", messageId: "1@mx.example", eightBit: source.oneIn(2), utf8 };
    const { prefix, suffix } = composeDsn(notice, mime);
    assert.doesNotMatch(prefix, /[\r\0]/);
    const [header = "", ...parts] = prefix.split(`\n--${mime.boundary}\n`);
    assert.equal(parts.length, 3);
    const transfer = mime.eightBit || utf8 ? ["Content-Transfer-Encoding"] : [];
    assert.deepEqual(fieldNames(header.trimEnd()), [...mimeFields, ...transfer]);
    const [text = "", status = "", copy = ""] = parts;
    assert.match(
      text,
      utf8 ? /^Content-Type: text\/plain; charset=utf-8\nCon/ : /^Content-Type: text\/plain; charset=us-ascii\n\n/,
    );
    assert.equal(
      text.split(/\n\n+/).length,
      2 + notice.recipients.length + 1,
      "a recipient's paragraph is more than one",
    );
    const groups = status.split("\n\n");
    const about = fieldNames(groups[1] ?? "");
    assert.deepEqual(about.slice(-2), ["Reporting-MTA", "Arrival-Date"]);
    assert.ok(about.slice(0, -2).every((name) => name === "Original-Envelope-Id") && about.length <= 3);
    const failures = groups.slice(2).filter((group) => group.trim() !== "");
    assert.equal(failures.length, notice.recipients.length);
    for (const group of failures) {
      assert.match(
        fieldNames(group.trimEnd()).join(),
        /^(?:Original-Recipient,)?Final-Recipient,Action,Status(?:,Remote-MTA)?(?:,Diagnostic-Code)?(?:,Will-Retry-Until)?$/,
      );
    }
    assert.match(status, utf8 ? /^[\n -~\x80-\xff]*$/ : /^[\n -~]*$/);
    if (utf8) new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(text + status, "latin1"));
    const trailing = copy.split("\n").filter((line) => line.startsWith("Return-Path: <"));
    assert.equal(trailing.length, 1);
    assert.match(
      copy,
      /^Content-Type: (?:message\/rfc822|text\/rfc822-headers|message\/global(?:-headers)?)\n(?:Content-Transfer-Encoding: 8bit\n)?\nReturn-Path: [^\n]*\n$/,
    );
    assert.equal(suffix, `\n--${mime.boundary}--\n`);
  },
};

const qsbmf: Row = {
  name: "plain bounce",
  cases: 1_500,
  check(source) {
    const notice = noticeOf(source);
    const { prefix } = composeQsbmf({ ...notice, action: "failed" });
    const [header = "", introduction = "", ...paragraphs] = prefix.split("\n\n");
    assert.deepEqual(fieldNames(header), bounceFields);
    assert.match(introduction, /^Hi\. This is /);
    assert.equal(paragraphs.length, notice.recipients.length + 2);
    for (const paragraph of paragraphs.slice(0, notice.recipients.length)) assert.match(paragraph, /^</);
    assert.match(paragraphs.at(-2) ?? "", /^--- Below this line is /);
  },
};

export const outputRows: readonly Row[] = [rendering, logLine, mbox, dates, delivered, dsn, qsbmf];
