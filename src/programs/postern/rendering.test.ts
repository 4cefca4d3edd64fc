import assert from "node:assert/strict";
import { test } from "node:test";
import { parseQueueRow } from "../../services/operator-client/queue-row.ts";
import { timeOf, writeLogLine } from "./log-line.ts";
import { formatDuration, formatOctets, parseDuration } from "./quantity.ts";
import { queueRequest } from "./queue-request.ts";
import { renderMessage, renderQueue } from "./queue-table.ts";
import { renderStatus } from "./status-table.ts";
import { renderTable } from "./table.ts";

const durations = [
  { text: "90", seconds: 90 },
  { text: "90s", seconds: 90 },
  { text: "10m", seconds: 600 },
  { text: "3h", seconds: 10_800 },
  { text: "2d", seconds: 172_800 },
  { text: "1w", seconds: 604_800 },
  { text: "", seconds: undefined },
  { text: "2 d", seconds: undefined },
  { text: "-1h", seconds: undefined },
  { text: "1.5h", seconds: undefined },
] as const;

for (const { text, seconds } of durations) {
  test(`parseDuration() takes "${text}" for ${seconds}`, () => assert.equal(parseDuration(text), seconds));
}

const times = [
  { ms: -5, text: "0 s" },
  { ms: 59_999, text: "59 s" },
  { ms: 60_000, text: "1 min" },
  { ms: 7_500_000, text: "2 h 5 min" },
  { ms: 7_200_000, text: "2 h" },
  { ms: 90_000_000, text: "1 d 1 h" },
] as const;

for (const { ms, text } of times) {
  test(`formatDuration() says ${text}`, () => assert.equal(formatDuration(ms), text));
}

const sizes = [
  { octets: 0, text: "0 B" },
  { octets: 999, text: "999 B" },
  { octets: 1000, text: "1.0 kB" },
  { octets: 4_123, text: "4.1 kB" },
  { octets: 52_428_800, text: "52 MB" },
  { octets: 999_999, text: "1.0 MB" },
  { octets: 5e12, text: "5000 GB" },
] as const;

for (const { octets, text } of sizes) {
  test(`formatOctets() says ${text}`, () => assert.equal(formatOctets(octets), text));
}

const columns = [
  { title: "N", align: "right" },
  { title: "NAME", least: 5 },
  { title: "TEXT", least: 6 },
] as const;
const rows = [
  ["1", "short", "a text of many words"],
  ["20", "a longer name", ""],
];
const tables = [
  {
    columns: Number.POSITIVE_INFINITY,
    table: " N  NAME           TEXT\n 1  short          a text of many words\n20  a longer name",
  },
  { columns: 30, table: " N  NAME          TEXT\n 1  short         a text of m…\n20  a longer na…" },
  { columns: 1, table: " N  NAME   TEXT\n 1  short  a tex…\n20  a lo…" },
] as const;

for (const { columns: most, table } of tables) {
  test(`renderTable() fits ${most} columns as far as it may`, () =>
    assert.equal(renderTable(columns, rows, most), table));
}

const requests = [
  { action: "list", ids: [], words: {}, request: { command: "list", filter: {}, limit: 100 } },
  {
    action: "list",
    ids: [],
    words: { limit: "5", sender: "@x" },
    request: { command: "list", filter: { sender: "@x" }, limit: 5 },
  },
  {
    action: "show",
    ids: ["1", "2,3"],
    words: { id: ["4"] },
    request: { command: "show", filter: { ids: [1, 2, 3, 4] }, limit: 100 },
  },
  { action: "retry", ids: [], words: {}, request: { command: "retry", filter: {} } },
  {
    action: "delete",
    ids: [],
    words: { recipient: "a@b", destination: "b", "older-than": "2d" },
    request: { command: "delete", filter: { recipient: "a@b", destination: "b", olderThanS: 172_800 } },
  },
  { action: "delete", ids: [], words: { all: true }, request: { command: "delete", filter: {} } },
  { action: "delete", ids: [], words: {}, request: undefined },
  { action: "hold", ids: [], words: {}, request: undefined },
  { action: "show", ids: [], words: {}, request: { command: "show", filter: {}, limit: 100 } },
  { action: "delete", ids: ["1"], words: { all: true }, request: undefined },
  { action: "list", ids: ["x"], words: {}, request: undefined },
  { action: "list", ids: [], words: { "older-than": "soon" }, request: undefined },
  { action: "list", ids: [], words: { limit: "0" }, request: undefined },
] as const;

for (const { action, ids, words, request } of requests) {
  test(`queueRequest() makes ${JSON.stringify(request)} of ${action} ${ids} ${JSON.stringify(words)}`, () => {
    const outcome = queueRequest(action, ids, words);
    assert.deepEqual(outcome.kind === "done" ? outcome.value : undefined, request);
  });
}

const row = parseQueueRow({
  id: 7,
  arrivedMs: 0,
  octets: 4_123,
  reversePath: "",
  uid: 1000,
  held: false,
  recipientCount: 2,
  recipients: [
    {
      number: 0,
      forwardPath: "joe@x.example",
      channel: "remote",
      destination: "x.example",
      state: "waiting",
      attempts: 2,
      nextAttemptMs: 660_000,
      lastReply: "Connected to 192.0.2.1\nbut \u001b[2Jno",
    },
  ],
});

test("renderQueue() shows a message in one line, and nothing that could move the cursor", () => {
  assert.equal(
    renderQueue([row], 600_000, Number.POSITIVE_INFINITY),
    [
      "ID     AGE    SIZE  FROM  TO                STATE",
      " 7  10 min  4.1 kB  <>    joe@x.example +1  waiting, 2 attempts, next in 1 min: Connected to 192.0.2.1 but ?[2Jno",
    ].join("\n"),
  );
});

test("renderMessage() shows all of it", () => {
  assert.equal(
    renderMessage({ ...row, held: true }, 600_000),
    [
      "Message 7 (held)",
      "  from      <>",
      "  arrived   1970-01-01T00:00:00.000Z, 10 min ago, by user 1000",
      "  size      4123 octets",
      "  to        2 recipients",
      "       0  joe@x.example",
      "          remote x.example, waiting, 2 attempts, next in 1 min",
      "          Connected to 192.0.2.1 but ?[2Jno",
    ].join("\n"),
  );
});

test("renderMessage() shows what the sender asked for", () => {
  const options = { envelopeId: "QQ314159", ret: 2, flags: 3, priority: 13, holdUntilMs: 7_200_000 };
  const recipients = row.recipients.map((recipient) => ({
    ...recipient,
    dsn: { notify: 3, originalRecipient: "rfc822;joe+40x.example" },
  }));
  const lines = renderMessage({ ...row, options, recipients }, 600_000).split("\n");
  assert.equal(
    lines.find((line) => line.startsWith("  asked")),
    "  asked     not before 1970-01-01T02:00:00.000Z; priority 4; TLS required; SMTPUTF8; reports return the header; envelope id QQ314159",
  );
  assert.ok(lines.includes("          report success, failure; originally to rfc822;joe+40x.example"));
});

test("parseQueueRow() makes something of anything", () => {
  assert.deepEqual(parseQueueRow("no row"), { ...parseQueueRow({}), recipients: [] });
  assert.deepEqual(parseQueueRow({ id: "7", recipients: [null] }).recipients.length, 1);
  const { options, recipients } = parseQueueRow({ options: 5, recipients: [{ dsn: { notify: "x" } }] });
  assert.deepEqual(options, { envelopeId: "", ret: 0, flags: 0, priority: 0, holdUntilMs: 0 });
  assert.deepEqual(recipients[0]?.dsn, { notify: 0, originalRecipient: "" });
});

test("renderStatus() shows programs, walls that are not up, and listeners", () => {
  const walls = { uid: true, landlock: 7, seccomp: true, permission: true };
  const status = {
    folder: "/srv/mail",
    embedded: false,
    pid: 10,
    since: "1970-01-01T00:00:00.000Z",
    listeners: [{ service: "smtp", name: "127.0.0.1:2525" }],
    programs: [
      { name: "queue", pid: 11, uid: 900, uptimeMs: 60_000, restarts: 0, memoryKiB: 40_000, walls },
      {
        name: "local",
        pid: null,
        uid: null,
        uptimeMs: 0,
        restarts: 3,
        memoryKiB: null,
        walls: { uid: false, landlock: null, seccomp: false, permission: false, why: "it does not run" },
      },
    ],
  };
  assert.equal(
    renderStatus(status, 7_500_000, Number.POSITIVE_INFINITY),
    `postern in /srv/mail: pid 10, up 2 h 5 min, programs 41 MB

PROGRAM  PID  UID     UP  RESTARTS  MEMORY  WALLS
queue     11  900  1 min         0   41 MB  user, Landlock 7, seccomp, permission
local      -    -   down         3       -  none

Not all walls are up:
  local: it does not run

Listening:
  smtp        127.0.0.1:2525`,
  );
});

const end = JSON.stringify({ timeMs: 810_362_814_250, program: "queue", event: "end", message: 7 });
const lines = [
  { line: end, form: "none", text: "end msg 7" },
  { line: end, form: "iso", text: "1995-09-06T04:46:54.250Z end msg 7" },
  { line: end, form: "tai64n", text: "@40000000304d27c80ee6b280 end msg 7" },
  { line: end, form: "json", text: end },
  { line: end.slice(5), form: "iso", text: undefined },
  { line: "{}", form: "json", text: undefined },
  { line: '{"timeMs":1,"program":"x","event":"info"}', form: "iso", text: undefined },
  {
    line: '{"timeMs":1,"program":"x","event":"\u009b"}',
    form: "json",
    text: '{"timeMs":1,"program":"x","event":"\\u009b"}',
  },
] as const;

for (const { line, form, text } of lines) {
  test(`writeLogLine() shows ${JSON.stringify(line)} as ${form}`, () => assert.equal(writeLogLine(line, form), text));
}

test("timeOf() reads the time without parsing the line", () => {
  assert.equal(timeOf(end), 810_362_814_250);
  assert.equal(timeOf("torn"), 0);
});
