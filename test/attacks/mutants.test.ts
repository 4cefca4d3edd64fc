import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import type * as Readers from "../../src/programs/directory/readers.ts";
import type * as Address from "../../src/protocol/address.ts";
import { readSettings } from "../../src/protocol/control/parse.ts";
import type * as Classic from "../../src/protocol/event/classic.ts";
import type * as Acceptance from "../../src/protocol/routing/acceptance.ts";
import type * as Router from "../../src/protocol/routing/router.ts";
import type * as Data from "../../src/protocol/smtp/data.ts";
import type * as Stuff from "../../src/protocol/smtp/stuff.ts";
import type * as Trace from "../../src/protocol/smtp/trace.ts";
import type * as Complete from "../../src/services/injection/inject.ts";
import { embeddedLayout } from "../../src/services/layout/layout.ts";
import { decodeInPieces, hasOneEnd, stuffInPieces } from "../fuzz/slow.ts";
import { everyCut } from "../fuzz/source.ts";
import { unlessRoot } from "../support/missing.ts";
import { type Fault, mutant } from "../support/mutant.ts";
import { tree } from "../support/server.ts";
import { homeRows, playRows, prepareRows, usersOf } from "./home-rows.ts";
import { startProduction } from "./production.ts";
import { control, relayForms } from "./relay-forms.ts";
import { smugglingForms, wireOf } from "./smuggling-forms.ts";

/** What of the suite's own rows a tree with this code fails: nothing, for ours. */
type Check = (tree: string) => Promise<readonly string[]>;

const load = async <Module>(folder: string, file: string): Promise<Module> =>
  (await import(pathToFileURL(join(folder, "dist", file)).href)) as Module;

const decoding: Check = async (folder) => {
  const { createDataDecoder } = await load<typeof Data>(folder, "protocol/smtp/data.js");
  return smugglingForms
    .filter(({ form, becomes }) => {
      const wire = Buffer.from(wireOf(form), "latin1");
      return [[Buffer.from(wire)], ...everyCut(wire)].some((pieces) => {
        const { kind, rest } = decodeInPieces(createDataDecoder(), pieces);
        return kind !== (becomes === "text" ? "end" : becomes) || rest !== "";
      });
    })
    .map(({ name }) => name);
};

const sending: Check = async (folder) => {
  const { createDotStuffer } = await load<typeof Stuff>(folder, "protocol/smtp/stuff.js");
  return smugglingForms
    .filter(({ form }) => {
      const message = Buffer.from(wireOf(form), "latin1");
      return [[message], ...everyCut(message)].some((pieces) => !hasOneEnd(stuffInPieces(createDotStuffer(), pieces)));
    })
    .map(({ name }) => name);
};

/** The forms that a stranger may send to, and that then leave this host; and those refused that should not be. */
const relaying: Check = async (folder) => {
  const { parsePath, addressOf } = await load<typeof Address>(folder, "protocol/address.js");
  const { createAcceptance } = await load<typeof Acceptance>(folder, "protocol/routing/acceptance.js");
  const { createRouter } = await load<typeof Router>(folder, "protocol/routing/router.js");
  const settings = readSettings(new Map(Object.entries(control)));
  assert.ok(settings.kind === "done");
  const accepts = createAcceptance(settings.value);
  const router = createRouter(settings.value);
  return relayForms
    .filter(([, text, reply]) => {
      const path = parsePath(text.trim());
      if (path.kind !== "done" || path.value === null || path.value.domain.startsWith("[")) return false;
      const address = addressOf(path.value);
      if (!accepts(address)) return false;
      return reply === "550" || (address.includes("@") && router.route(address).channel === "remote");
    })
    .map(([name]) => name);
};

const lines: Check = async (folder) => {
  const { renderClassic } = await load<typeof Classic>(folder, "protocol/event/classic.js");
  const { receivedLine } = await load<typeof Trace>(folder, "protocol/smtp/trace.js");
  const logged = {
    event: "info",
    message: 1,
    octets: 1,
    reversePath: "a\x1b[2J b%0a",
    uid: 1,
    timeMs: 0,
    program: "queue",
  } as const;
  const received = receivedLine({ helo: "a)\nBcc: b", protocol: "SMTP", address: "c", by: "d", nowMs: 0 });
  return [
    ...(/[^ -~]|%|J b/.test(renderClassic(logged)) ? ["the log"] : []),
    ...(received.split("\n").length === 3 ? [] : ["Received"]),
  ];
};

const fields: Check = async (folder) => {
  const { complete } = await load<typeof Complete>(folder, "services/injection/inject.js");
  const wishes = { recipientsFrom: "arguments", arguments: ["a@b.example"], reversePath: undefined } as const;
  const environment = { QMAILNAME: "a (\nBcc: b", QMAILUSER: "u", QMAILHOST: "h.example" };
  const completed = complete(Buffer.from("Subject: x\n\n"), wishes, environment, embeddedLayout("/nonexistent"));
  return completed.kind === "done" && /^Bcc/m.test(completed.value.header) ? ["QMAILNAME"] : [];
};

/** Who may send to anywhere a while after one host has read its mail. */
const reading: Check = async (folder) => {
  const { createReaders } = await load<typeof Readers>(folder, "programs/directory/readers.js");
  let nowMs = 0;
  const readers = createReaders(1_000, () => nowMs);
  const read = ["192.0.2.1", "127.0.0.1", "::1"];
  for (const address of read) readers.note(address);
  const allowed = [...read, "192.0.2.2", "::ffff:192.0.2.1"].filter((address) => readers.mayRelay(address));
  nowMs = 1_000;
  return [
    ...allowed.filter((address) => !address.endsWith("192.0.2.1")),
    ...read.filter((address) => readers.mayRelay(address)).map((address) => `${address}, later`),
  ];
};

/** A production server with the rows named, played for real. */
const homes =
  (...names: readonly string[]): Check =>
  async (folder) => {
    const rows = homeRows.filter(({ name }) => names.includes(name));
    assert.equal(rows.length, names.length);
    await using production = await startProduction({
      users: usersOf(rows),
      tree: folder,
      prepare: (hand) => prepareRows(rows, hand),
    });
    return await playRows(production, rows);
  };

const mutants: readonly {
  readonly name: string;
  readonly fault: Fault;
  readonly check: Check;
  readonly needsRoot?: true;
}[] = [
  {
    name: "P7: a line that is a dot and a bare CR ends a message",
    fault: { file: "protocol/smtp/data.js", from: '(chunk[at + 2] === LF ? undefined : "bare CR")', to: "undefined" },
    check: decoding,
  },
  {
    name: "P7: a bare LF is a line end in DATA",
    fault: { file: "protocol/smtp/data.js", from: "if (lineFeed >= 0 && !carriageReturn)", to: "if (false)" },
    check: decoding,
  },
  {
    name: "P7: a CR at the end of a chunk may be followed by anything",
    fault: {
      file: "protocol/smtp/data.js",
      from: "if (chunk[0] !== LF)\n                return",
      to: "if (false)\n                return",
    },
    check: decoding,
  },
  {
    name: "P7: a bare CR in a stored message is sent as it is",
    fault: { file: "protocol/smtp/stuff.js", from: "wire[length++] = SPACE;", to: "wire[length++] = CR;" },
    check: sending,
  },
  {
    name: "P8: the log shows text as it came",
    fault: { file: "protocol/event/classic.js", from: "octet < 33 || octet > 126 || octet === 0x25", to: "false" },
    check: lines,
  },
  {
    name: "P8: Received shows the HELO name as it came",
    fault: { file: "protocol/smtp/trace.js", from: '.replace(/[^A-Za-z0-9.@%+/=:[\\]-]/g, "?")', to: "" },
    check: lines,
  },
  {
    name: "P8: a header value may hold a line end",
    fault: { file: "protocol/header/token.js", from: 'text.replace(/[\\r\\n]/g, " ")', to: "text" },
    check: fields,
  },
  {
    name: "P12: every domain is one for the percent hack",
    fault: { file: "protocol/routing/router.js", from: "percenthack.has(domain); domain", to: "true; domain" },
    check: relaying,
  },
  {
    name: "P12: a name that ends as ours is ours",
    fault: {
      file: "protocol/routing/acceptance.js",
      from: "locals.get(domain);",
      to: "locals.get([...locals.keys()].find((local) => domain.endsWith(local)));",
    },
    check: relaying,
  },
  {
    name: "P12: a source route is followed",
    fault: {
      file: "protocol/address.js",
      from: "at = afterSourceRoute(text, at);",
      to: "return done({ path: { localPart: text.slice(at), domain: 'here.example' }, end: text.length });",
    },
    check: async (folder) => {
      const { parsePath } = await load<typeof Address>(folder, "protocol/address.js");
      const path = parsePath("<@evil.example:a@here.example>");
      return path.kind === "done" && path.value?.localPart === "a" ? [] : ["source route"];
    },
  },
  {
    name: "P12: who has read mail once may send to anywhere for ever",
    fault: { file: "programs/directory/readers.js", from: "nowMs() - readMs < window", to: "true" },
    check: reading,
  },
  {
    name: "P12: a login on loopback counts for all who come from there",
    fault: { file: "programs/directory/readers.js", from: "return isLoopback ? undefined :", to: "return" },
    check: reading,
  },
  {
    name: "P9: links are followed to an mbox",
    fault: {
      file: "services/maildir/file.js",
      from: "constants.O_NOFOLLOW | constants.O_NONBLOCK",
      to: "constants.O_NONBLOCK",
    },
    check: homes("mbox-is-a-link-to-my-own-file"),
    needsRoot: true,
  },
  {
    name: "P9: an mbox may be anything",
    fault: { file: "programs/deliver/mbox.js", from: "if (files.fstat(fd).isFile())", to: "if (true)" },
    check: homes("mbox-is-the-null-device"),
    needsRoot: true,
  },
  {
    name: "P9: a .qmail that others may write is obeyed",
    fault: { file: "programs/deliver/dot-qmail-file.js", from: "if (stat.mode & otherWritable)", to: "if (false)" },
    check: homes("file-all-may-write", "file-link-to-one-all-may-write"),
    needsRoot: true,
  },
  {
    name: "P9: a home that others may write is used",
    fault: { file: "programs/deliver/home.js", from: "if (stat.mode & otherWritable)", to: "if (false)" },
    check: homes("all-may-write"),
    needsRoot: true,
  },
];

for (const { name, fault, check, needsRoot } of mutants) {
  test(`a mutant is caught: ${name}`, { skip: needsRoot ? unlessRoot() : false }, async () => {
    using changed = mutant(fault);
    assert.notDeepEqual(await check(changed.tree), []);
  });
}

const pure = new Set(mutants.filter(({ needsRoot }) => !needsRoot).map(({ check }) => check));
test("our own code is no mutant", async () => {
  for (const check of pure) assert.deepEqual(await check(tree), []);
});
