import assert from "node:assert/strict";
import { test } from "node:test";
import { title } from "../../../test/support/title.ts";
import { createDataDecoder } from "./data.ts";

interface Decoded {
  readonly body: string;
  readonly ends: string;
  readonly rest: string;
}

/** What a broken body had before its fault is nobody's business: it is given up as a whole. */
const broken = (why: string): Decoded => ({ body: "", ends: why, rest: "" });

/** The slow and obvious decoder: octet by octet, as RFC 5321 §4.5.2 tells it. */
function decodeSlowly(wire: string): Decoded {
  let state = "line start";
  let body = "";
  for (const [at, octet] of [...wire].entries()) {
    if (state === "cr" || state === "dot cr") {
      if (octet !== "\n") return broken("bare CR");
      if (state === "dot cr") return { body, ends: "end", rest: wire.slice(at + 1) };
      body += "\n";
      state = "line start";
    } else if (octet === "\n") return broken("bare LF");
    else if (octet === "\0") return broken("NUL");
    else if (octet === "\r") state = state === "dot" ? "dot cr" : "cr";
    else if (octet === "." && state === "line start") state = "dot";
    else {
      body += octet;
      state = "text";
    }
  }
  return { body, ends: "more", rest: "" };
}

function decodeInPieces(pieces: readonly string[]): Decoded {
  const decode = createDataDecoder();
  let body = "";
  for (const [at, piece] of pieces.entries()) {
    const progress = decode(Buffer.from(piece, "latin1"));
    if (progress.kind === "broken") return broken(progress.why);
    body += progress.body.toString("latin1");
    if (progress.kind === "end") {
      return { body, ends: "end", rest: progress.rest.toString("latin1") + pieces.slice(at + 1).join("") };
    }
  }
  return { body, ends: "more", rest: "" };
}

const cases = [
  { name: "takes an empty message", wire: ".\r\n", body: "", ends: "end" },
  { name: "takes a message of one line", wire: "a\r\n.\r\n", body: "a\n", ends: "end" },
  { name: "takes empty lines", wire: "\r\n\r\n.\r\n", body: "\n\n", ends: "end" },
  { name: "§17.147 drops a stuffed dot", wire: "..a\r\n.\r\n", body: ".a\n", ends: "end" },
  { name: "§17.147 drops one of two dots", wire: "..\r\n.\r\n", body: ".\n", ends: "end" },
  { name: "drops the dot of an unstuffed line", wire: ".a\r\n.\r\n", body: "a\n", ends: "end" },
  { name: "keeps dots inside a line", wire: "a.\r\nb.c\r\n.\r\n", body: "a.\nb.c\n", ends: "end" },
  { name: "keeps octets from 128", wire: "\xe4\xff\x80\r\n.\r\n", body: "\xe4\xff\x80\n", ends: "end" },
  { name: "hands back what follows", wire: "a\r\n.\r\nQUIT\r\n", body: "a\n", ends: "end", rest: "QUIT\r\n" },
  { name: "takes nothing of what follows for the body", wire: ".\r\n.\r\n", body: "", ends: "end", rest: ".\r\n" },
  { name: "waits for the end", wire: "a\r\n.", body: "a\n", ends: "more" },
  { name: "waits for the end of the end", wire: "a\r\n.\r", body: "a\n", ends: "more" },
  { name: "§17.135 refuses a bare LF", wire: "a\nb\r\n.\r\n", body: "", ends: "bare LF" },
  { name: "§17.136 refuses LF before the dot", wire: "a\n.\r\nMAIL", body: "", ends: "bare LF" },
  { name: "§17.136 refuses LF after the dot", wire: "a\r\n.\nMAIL", body: "", ends: "bare LF" },
  { name: "refuses LF first of all", wire: "\n.\r\n", body: "", ends: "bare LF" },
  { name: "refuses a second LF", wire: "a\r\n\n.\r\n", body: "", ends: "bare LF" },
  { name: "refuses a bare CR", wire: "a\rb\r\n.\r\n", body: "", ends: "bare CR" },
  { name: "refuses CR before CR LF", wire: "a\r\r\n.\r\n", body: "", ends: "bare CR" },
  { name: "§17.136 refuses CR around the dot", wire: "a\r\n.\rb\r\n.\r\n", body: "", ends: "bare CR" },
  { name: "§17.136 refuses CR dot CR", wire: "a\r.\r\r\n.\r\n", body: "", ends: "bare CR" },
  { name: "refuses NUL", wire: "a\0b\r\n.\r\n", body: "", ends: "NUL" },
  { name: "refuses NUL behind a dot", wire: ".\0\r\n.\r\n", body: "", ends: "NUL" },
  { name: "names the first fault", wire: "a\0b\rc\nd\r\n.\r\n", body: "", ends: "NUL" },
  {
    name: "takes a line without bound",
    wire: `${"x".repeat(5_000)}\r\n.\r\n`,
    body: `${"x".repeat(5_000)}\n`,
    ends: "end",
  },
];

for (const { name, wire, body, ends, rest = "" } of cases) {
  test(`${title("createDataDecoder()", name)}, whole and octet by octet`, () => {
    assert.deepEqual(decodeInPieces([wire]), { body, ends, rest });
    assert.deepEqual(decodeInPieces([...wire]), { body, ends, rest });
  });
  if (wire.length < 100) {
    test(`${title("createDataDecoder()", name)}, cut in two and in three anywhere`, () => {
      for (let one = 0; one <= wire.length; one++) {
        for (let two = one; two <= wire.length; two++) {
          const pieces = [wire.slice(0, one), wire.slice(one, two), wire.slice(two)];
          assert.deepEqual(decodeInPieces(pieces), { body, ends, rest }, JSON.stringify(pieces));
        }
      }
    });
  }
}

test("§17.136 createDataDecoder() agrees with the slow decoder on all texts of 6 octets of CR, LF, dot, NUL and a letter", () => {
  const alphabet = ["\r", "\n", ".", "\0", "a", "\r\n"];
  for (let number = 0; number < alphabet.length ** 6; number++) {
    let wire = "";
    for (let rest = number, n = 0; n < 6; n++, rest = Math.floor(rest / alphabet.length)) {
      wire += alphabet[rest % alphabet.length];
    }
    const expected = decodeSlowly(wire);
    const cut = number % (wire.length + 1);
    const pieces = [[wire], [wire.slice(0, cut), wire.slice(cut)], [...wire]];
    for (const some of pieces) {
      const decoded = decodeInPieces(some);
      if (decoded.body === expected.body && decoded.ends === expected.ends && decoded.rest === expected.rest) continue;
      assert.deepEqual(decoded, expected, JSON.stringify(some));
    }
  }
});
