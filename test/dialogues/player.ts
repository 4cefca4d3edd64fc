import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { Talk } from "./talk.ts";

export interface Target {
  readonly host: string;
  readonly port: number;
  /** What `${name}` stands for in the file. */
  readonly values?: Readonly<Record<string, string>>;
  /** Replies have no status codes, as those of POP3. */
  readonly withoutStatus?: boolean;
}

/**
 * Plays a dialogue file against a server, from its greeting on. Rejects with file and line where it went another way.
 *
 *   # a comment
 *   C: text        the client sends text and CR LF; several in a row leave together
 *   R: text        the client sends just this; \r \n \0 \\ and \xHH are understood
 *   S: pattern     the server's next line begins with this; with `*` in it, all of the line must match
 *   U: pattern     its lines up to one that is so, whatever they are
 *   T:             client and server speak TLS from here on
 *   E:             the server ends the conversation
 *   C*20: text     twenty times; R and S likewise
 *   S+: pattern    all next lines that are so, one at least
 */
export async function playDialogue(
  file: string,
  { host, port, values = {}, withoutStatus = false }: Target,
): Promise<void> {
  const talk = await Talk.open(port, host);
  let unsent = "";
  /** Read to see whether it is one more of `S+`, and was not. */
  let held: { readonly line: string | undefined } | undefined;
  const next = async (): Promise<string | undefined> => {
    const line = held ? held.line : await talk.line();
    held = undefined;
    if (line !== undefined)
      assert.ok(withoutStatus || hasStatus(line), `${basename(file)}: no enhanced status code in ${line}`);
    return line;
  };
  const send = (): void => {
    if (unsent !== "") talk.send(unsent);
    unsent = "";
  };
  try {
    for (const { number, actor, times, text, more } of readDialogue(file, values)) {
      const place = `${basename(file)}:${number}`;
      for (let n = 0; n < times; n++) {
        if (actor === "C") unsent += `${text}\r\n`;
        else if (actor === "R") unsent += readEscapes(text);
        else if (actor === "T") {
          send();
          await talk.secure();
        } else {
          send();
          let line = await next();
          while (actor === "U" && line !== undefined && !matches(line, text)) line = await next();
          if (actor === "E") assert.equal(line, undefined, `${place}: expected the end`);
          else
            assert.ok(
              line !== undefined && matches(line, text),
              `${place}: expected ${text}, got ${line ?? "the end"}`,
            );
        }
      }
      for (let line = more ? await next() : undefined; more && !held; ) {
        if (line !== undefined && matches(line, text)) line = await next();
        else held = { line };
      }
    }
    send();
  } finally {
    talk.close();
  }
}

/** RFC 2034 §4: replies have an enhanced status code of their class, but greetings, and what EHLO, HELO and LHLO get. */
const hasStatus = (line: string): boolean =>
  /^3|^220 \S+ (?:ESMTP|LMTP)$|^250[ -][A-Za-z0-9-]+(?: |$)/.test(line) ||
  /^([245])[0-9]{2}[ -]\1\.[0-9]{1,3}\.[0-9]{1,3} /.test(line);

interface Part {
  readonly number: number;
  readonly actor: string;
  readonly times: number;
  readonly more: boolean;
  readonly text: string;
}

function readDialogue(file: string, values: Readonly<Record<string, string>>): readonly Part[] {
  const parts: Part[] = [];
  for (const [at, line] of readFileSync(file, "latin1").split("\n").entries()) {
    if (line === "" || line.startsWith("#")) continue;
    const [, actor, times = "1", more, written = ""] = /^([CRSTUE])(?:\*(\d+)|(\+))?: ?(.*)$/.exec(line) ?? [];
    assert.ok(actor, `${basename(file)}:${at + 1}: neither C, R, S, U, T nor E`);
    const text = written.replace(/\$\{(\w+)\}/g, (_, name: string) => {
      assert.ok(Object.hasOwn(values, name), `${basename(file)}:${at + 1}: no value for ${name}`);
      return values[name] ?? "";
    });
    parts.push({ number: at + 1, actor, times: Number(times), more: more !== undefined, text });
  }
  return parts;
}

const escapes: Readonly<Record<string, string>> = { r: "\r", n: "\n", 0: "\0", "\\": "\\" };

const readEscapes = (text: string): string =>
  text.replace(/\\(?:x([0-9a-fA-F]{2})|([rn0\\]))/g, (_, hex: string | undefined, letter: string) =>
    hex ? String.fromCharCode(Number.parseInt(hex, 16)) : (escapes[letter] ?? ""),
  );

function matches(line: string, pattern: string): boolean {
  const [first = "", ...others] = pattern.split("*");
  if (!line.startsWith(first)) return false;
  if (others.length === 0) return true;
  let at = first.length;
  for (const part of others.slice(0, -1)) {
    const found = line.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  const last = others.at(-1) ?? "";
  return line.length - last.length >= at && line.endsWith(last);
}
