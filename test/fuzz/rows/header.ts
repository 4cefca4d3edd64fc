import assert from "node:assert/strict";
import { readAuthors, readSender } from "../../../src/protocol/header/authors.ts";
import { type Completed, completeMessage, type Injection } from "../../../src/protocol/header/complete.ts";
import { splitMessage } from "../../../src/protocol/header/fields.ts";
import { createSubmittedHeader } from "../../../src/protocol/header/submitted.ts";
import { tokenize, writeField, writeToken } from "../../../src/protocol/header/token.ts";
import type { Row } from "../explore.ts";
import { mutated, readSeeds } from "../mutate.ts";
import type { Source } from "../source.ts";

const headers = readSeeds("headers");
const lists = readSeeds("address-lists");

const tokens: Row = {
  name: "header tokens",
  cases: 4_000,
  check(source) {
    const read = tokenize(mutated(source, lists));
    if (!read) return;
    const written = writeField(read, 80);
    assert.ok(written.endsWith("\n"));
    // A line goes on in the next one only behind blanks: nothing in it can begin a field.
    for (const line of written.slice(0, -1).split("\n").slice(1)) assert.match(line, /^ {2}/);
    assert.deepEqual(tokenize(written)?.map(writeToken), read.map(writeToken));
  },
};

const parts: Row = {
  name: "header fields",
  cases: 1_500,
  check(source) {
    const message = Buffer.from(mutated(source, headers), "latin1");
    const { fields, body } = splitMessage(message);
    for (const { name, text } of fields) {
      assert.match(name, /^[!-9;-~]+$/);
      assert.ok(text.toLowerCase().startsWith(name) && text.endsWith("\n"));
      for (const line of text.slice(0, -1).split("\n").slice(1)) assert.match(line, /^[ \t]/);
    }
    const octets = fields.reduce((sum, { text }) => sum + text.length, body?.length ?? 0);
    assert.ok(octets <= message.length + 1 + fields.length * "MBOX-Line: ".length);
  },
};

const plainHost = "here.example";
const word = (source: Source): string => mutated(source, lists);

function injectionOf(source: Source): Injection {
  const letters = new Set(["c", "s", "f", "i", "r", "m"].filter(() => source.oneIn(3)));
  return {
    author: {
      user: source.oneIn(3) ? word(source) : "me",
      host: source.oneIn(3) ? word(source) : plainHost,
      name: source.oneIn(2) ? word(source) : undefined,
      senderUser: source.oneIn(4) ? word(source) : undefined,
      senderHost: source.oneIn(4) ? word(source) : undefined,
    },
    completion: { defaulthost: "host.example", defaultdomain: "domain.example", plusdomain: "plus.example" },
    idhost: source.oneIn(3) ? word(source) : "id.example",
    letters,
    recipientsFrom: source.pick(["header", "arguments", "both"] as const),
    arguments: source.list(3, () => word(source)),
    reversePath: source.oneIn(3) ? word(source) : undefined,
    mailingLists: source.oneIn(3) ? new Set(["list@host.example"]) : undefined,
    nowMs: 1_700_000_000_000,
    pid: 7,
  };
}

/** What a field the author wrote may bring in is his; the lines must still be fields, each of a name he or we chose. */
function judge({ header, body, forwardPaths }: Completed, given: readonly string[]): void {
  const { fields, body: rest } = splitMessage(Buffer.from(header, "latin1"));
  assert.equal(rest === undefined ? undefined : rest.length, body === undefined ? undefined : 0);
  const known = new Set([...given, "date", "message-id", "from", "cc", "mail-followup-to", "mbox-line"]);
  for (const { name } of fields) {
    assert.ok(known.has(name.replace(/^resent-/, "")) || known.has(name), `a field nobody wrote: ${name}`);
    assert.ok(!["bcc", "resent-bcc", "content-length", "return-path"].includes(name));
  }
  for (const address of forwardPaths) assert.match(address, /^[^\n\r]+$/);
}

const completion: Row = {
  name: "inject",
  cases: 2_500,
  check(source) {
    const message = Buffer.from(mutated(source, headers), "latin1");
    const given = splitMessage(message).fields.map(({ name }) => name);
    const injection = injectionOf(source);
    const completed = completeMessage(message, injection);
    if (completed.kind !== "done") return assert.equal(completed.kind, "permanent");
    judge(completed.value, given);
    // A user's name from the environment is quoted as it is; what it holds beyond letters the server refuses.
    if (injection.reversePath !== undefined) assert.match(completed.value.reversePath, /^[^\n\r]*$/);
    if (injection.author.host !== plainHost) return;
    // What was completed is complete: the same recipients, and not a field more.
    const again = completeMessage(Buffer.from(completed.value.header, "latin1"), { ...injection, letters: new Set() });
    assert.equal(again.kind, "done");
    assert.equal(again.kind === "done" && again.value.header, completed.value.header);
  },
};

/** However it is cut, the same; and what goes on lacks nothing, for the reader of fields.ts too. */
const submitted: Row = {
  name: "submitted header",
  cases: 1_500,
  check(source) {
    const message = Buffer.from(mutated(source, headers).replaceAll("\r", ""), "latin1");
    const results = [[message], source.pieces(message)].map((pieces) => {
      const header = createSubmittedHeader({ date: "Date: d\n", from: "From: f@g\n" });
      const body = Buffer.concat([...pieces.map((piece) => header.take(piece)), header.end()]);
      const { authorship, sender } = header;
      assert.ok(authorship && sender);
      return {
        body: body.toString("latin1"),
        authorship,
        authors: readAuthors(authorship),
        sender: readSender(sender),
      };
    });
    assert.deepEqual(results[1], results[0]);
    const [{ body, authorship, authors, sender } = assert.fail()] = results;
    assert.ok(body.length <= message.length + 22);
    const names = splitMessage(Buffer.from(body, "latin1")).fields.map(({ name }) => name);
    assert.ok(names.includes("date") && names.includes("from"));
    const given = splitMessage(message).fields.filter(({ name }) => name === "from").length;
    if (!message.toString("latin1").includes("From ")) assert.equal(authorship.fields, given);
    if (sender.kind === "done") assert.ok(sender.value.length <= 1);
    if (authors.kind === "done") for (const address of authors.value) assert.match(address, /^[^\r\n]+@[^\r\n]+$/);
  },
};

export const headerRows: readonly Row[] = [tokens, parts, completion, submitted];
