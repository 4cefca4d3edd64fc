import assert from "node:assert/strict";
import { test } from "node:test";
import { findAccounts } from "../../src/programs/supervise/accounts.ts";
import { accountNames } from "../../src/programs/supervise/walls.ts";
import { parseControl } from "../../src/protocol/control/parse.ts";
import { decodeNetstring } from "../../src/protocol/netstring.ts";
import { createQmqpReader } from "../../src/protocol/qmqp/request.ts";
import { parseCommand } from "../../src/protocol/smtp/command.ts";
import { createReplyReader } from "../../src/protocol/smtp/reply.ts";
import { parseAssign } from "../../src/protocol/users/assign.ts";
import { parsePasswd } from "../../src/protocol/users/passwd.ts";
import { createFrameReader } from "../../src/protocol/wire/frame.ts";
import { openStage } from "../dialogues/stage.ts";
import { Talk } from "../dialogues/talk.ts";

/** Numbers as an attacker writes them: at the edges of 8 to 64 bits and of a double, and in other forms than digits. */
const edges = [7, 8, 15, 16, 31, 32, 53, 63, 64].flatMap((bits) =>
  [-1n, 0n, 1n].map((off) => String(2n ** BigInt(bits) + off)),
);
const strange = [
  "",
  "-0",
  "-1",
  "-2147483648",
  "+1",
  "0x10",
  "0b1",
  "0o7",
  "1e3",
  "1e400",
  "1_000",
  "1.0",
  "1,000",
  " 1",
  "1 ",
  "\t1",
  "NaN",
  "Infinity",
  "\u0661",
  "\u00b2",
  "1\0",
  "--1",
  "2147483647a",
  "9".repeat(20),
  "9".repeat(400),
  "9".repeat(10_000),
];
const written = [...edges, ...strange, "00", "01", `${"0".repeat(400)}1`];
const isDigits = (text: string): boolean => /^[0-9]+$/.test(text);

/** Every place where text from outside becomes a number: the number, or undefined when it is refused. `most`: the largest that may come out. */
const places: readonly {
  readonly name: string;
  readonly most: bigint;
  readonly read: (text: string) => number | undefined;
}[] = [
  {
    name: "SIZE= of MAIL",
    most: 10n ** 20n,
    read(text) {
      const command = parseCommand(`MAIL FROM:<a@b.example> SIZE=${text}`);
      return command.verb === "MAIL" ? command.sizeOctets : undefined;
    },
  },
  {
    name: "the size in BDAT",
    most: 2n ** 32n,
    read(text) {
      const command = parseCommand(`BDAT ${text}`);
      return command.verb === "BDAT" ? command.octets : undefined;
    },
  },
  {
    name: "the length of a netstring",
    most: 1_000n,
    read(text) {
      const decoded = decodeNetstring(Buffer.from(`${text}:`, "latin1"), 1_000);
      return decoded === "more" && isDigits(text) ? Number(text) : undefined;
    },
  },
  {
    name: "the length of a QMQP request",
    most: 2n ** 32n + 10n ** 9n,
    read: (text) => (isRefused(`${text}:`) ? undefined : Number(text)),
  },
  {
    name: "the length of a QMQP message",
    most: 2n ** 32n,
    read: (text) => (isRefused(`4294967400:${text}:`) ? undefined : Number(text)),
  },
  {
    name: "uid in users/assign",
    most: 2n ** 32n - 2n,
    read(text) {
      const table = parseAssign(`=a:a:${text}:1:/h:::\n.\n`);
      return table.kind === "done" ? table.value.exact.get("a")?.uid : undefined;
    },
  },
  {
    name: "gid in users/assign",
    most: 2n ** 32n - 2n,
    read(text) {
      const table = parseAssign(`=a:a:1:${text}:/h:::\n.\n`);
      return table.kind === "done" ? table.value.exact.get("a")?.gid : undefined;
    },
  },
  {
    name: "uid in passwd",
    most: 2n ** 32n - 2n,
    read: (text) => parsePasswd(`a:x:${text}:1::/h:/bin/sh\n`).get("a")?.uid,
  },
  {
    name: "gid in passwd",
    most: 2n ** 32n - 2n,
    read: (text) => parsePasswd(`a:x:1:${text}::/h:/bin/sh\n`).get("a")?.gid,
  },
  { name: "uid of a program's own account", most: 2n ** 32n - 2n, read: (text) => accountUid(text) },
  ...[
    "databytes",
    "maxrecipients",
    "concurrencylocal",
    "queuelifetime",
    "timeoutsmtpd",
    "maxhops",
    "bouncemaxbytes",
  ].map((name) => ({
    name: `control/${name}`,
    most: 2n ** 53n,
    read(text: string) {
      const value = parseControl(name, `${text}\n`);
      return value.kind === "done" && typeof value.value === "number" ? value.value : undefined;
    },
  })),
  {
    name: "the code of a reply",
    most: 599n,
    read(text) {
      const [reply] = createReplyReader()(Buffer.from(`${text} x\r\n`, "latin1"));
      return reply === undefined || reply === "broken" ? undefined : reply.code;
    },
  },
];

function accountUid(text: string): number | undefined {
  const line = (name: string): string => `${name}:x:${text}:1::/h:/bin/sh\n`;
  const found = findAccounts(accountNames.map(line).join(""));
  return found.kind === "done" ? found.value.get("postern-queue")?.uid : undefined;
}

function isRefused(request: string): boolean {
  return createQmqpReader()(Buffer.from(request, "latin1")).some(({ kind }) => kind === "broken");
}

for (const { name, most, read } of places) {
  test(`${name} is digits within bounds, or nothing`, () => {
    for (const text of written) {
      const value = read(text);
      if (value === undefined) continue;
      const shown = JSON.stringify(text.slice(0, 40));
      // Blanks at the end of a line of a control file, and around what a command says, are not part of it.
      const isBlank = name.startsWith("control/") || name.startsWith("SIZE");
      const digits = isBlank ? text.trimEnd() : name.endsWith("BDAT") ? text.trim() : text;
      assert.ok(isDigits(digits) || digits === "", `${shown} became ${value}`);
      assert.ok(value >= 0 && value <= Number(most), `${shown} became ${value}`);
      if (digits !== "") assert.equal(value, Number(digits), shown);
    }
  });
}

/** The length of a frame is four octets: all 32-bit values, most of them far too large. */
test("a frame of more than it may be is refused with its head, before there is room made for it", () => {
  for (const length of [2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 24]) {
    const head = Buffer.alloc(16);
    head.writeUInt32BE(length, 0);
    const before = process.memoryUsage().arrayBuffers;
    assert.throws(() => {
      if (createFrameReader()(head) === "broken") throw new RangeError("broken");
    });
    assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 24);
  }
});

/** qmail's own: lengths kept in 32 bits. Each asked for gigabytes; here it is the bound on what is asked that answers. */
test("CVE-2005-1513 and CVE-2005-1514: a command without an end is not kept", async () => {
  await using stage = await openStage({ me: "localhost" });
  const talk = await Talk.open(stage.port);
  await talk.reply();
  const piece = "x".repeat(65_536);
  const before = process.memoryUsage().rss;
  for (let sent = 0; sent < 1_024; sent++) {
    talk.send(piece);
    while (talk.unsentOctets > 1_048_576) await new Promise((resolve) => setImmediate(resolve));
  }
  talk.send("\r\n");
  assert.match(await talk.reply(), /^500 5\.5\.2 line too long/);
  assert.match(await talk.ask("NOOP"), /^250/);
  assert.ok(process.memoryUsage().rss - before < 256 * 2 ** 20, "64 MiB of a command, both ends in this process");
  talk.close();
});

test("CVE-2005-1515: recipients are counted, and the next one is refused", async () => {
  await using stage = await openStage({ me: "localhost", maxrecipients: "100" });
  const talk = await Talk.open(stage.port);
  await talk.reply();
  await talk.ask("MAIL FROM:<a@b.example>");
  for (let n = 0; n < 100; n++) assert.match(await talk.ask(`RCPT TO:<r${n}@localhost>`), /^250/);
  for (let n = 0; n < 50; n++) assert.match(await talk.ask(`RCPT TO:<s${n}@localhost>`), /^452 4\.5\.3/);
  talk.close();
});

/** qmail-verify asked the file system about what the client wrote, and as root. Here no answer depends on a file. */
test("CVE-2020-3811 and CVE-2020-3812: replies to RCPT do not tell which files or users there are", async () => {
  await using stage = await openStage({ me: "localhost" });
  const talk = await Talk.open(stage.port);
  await talk.reply();
  await talk.ask("MAIL FROM:<a@b.example>");
  const asked = [
    "root",
    "no-such-user",
    "/etc/passwd",
    "/no/such/file",
    '"../../etc/shadow"',
    "root-.ssh-id_rsa",
    "a".repeat(200),
    '"@"',
  ];
  const replies = new Set<string>();
  for (const localPart of asked) replies.add(await talk.ask(`RCPT TO:<${localPart}@localhost>`));
  assert.equal(replies.size, 1, [...replies].join("; "));
  talk.close();
});

test("BDAT of more than any message is answered at once, and what follows it is not obeyed", async () => {
  await using stage = await openStage({ me: "localhost" });
  const unfit = [...edges, ...strange].filter((text) => !(/^[0-9]+$/.test(text.trim()) && BigInt(text) <= 2n ** 32n));
  for (const size of unfit) {
    const talk = await Talk.open(stage.port);
    await talk.reply();
    talk.send(`MAIL FROM:<>\r\nRCPT TO:<c@localhost>\r\nBDAT ${size} LAST\r\nMAIL FROM:<>\r\n`);
    const replies = [await talk.reply(), await talk.reply(), await talk.reply(), await talk.reply()];
    const shown = `${size.slice(0, 30)}: ${replies}`;
    assert.match(replies[2] ?? "", /^(?:501 5\.5\.4|552 5\.3\.4|500 5\.5\.2) /, shown);
    // A line that is too long, or holds control characters, is not BDAT but none at all: there was no chunk.
    assert.equal(replies[3], replies[2]?.startsWith("500") ? "503 5.5.1 one MAIL at a time" : "(closed)", shown);
    talk.close();
  }
  assert.equal(stage.queue.messages.length, 0);
});

test("SIZE= beyond any size is refused, and is not taken for a small one", async () => {
  await using stage = await openStage({ me: "localhost", databytes: "1000" });
  const talk = await Talk.open(stage.port);
  await talk.reply();
  await talk.ask("EHLO c.example");
  for (const size of [...edges, "9".repeat(20)].filter((text) => BigInt(text) > 1_000n)) {
    assert.match(await talk.ask(`MAIL FROM:<a@b.example> SIZE=${size}`), /^552 5\.3\.4/, size);
  }
  talk.close();
});
