import { asciiLowerCase } from "../address.ts";
import { trimBlanks } from "../blanks.ts";
import { done, type Outcome, permanent } from "../outcome.ts";
import type { Command, ForwardTable } from "./forward-table.ts";
import { parseRecipients, type Recipient } from "./recipients.ts";

/**
 * Reads an aliases file, as /etc/aliases: `name: recipient, recipient`, lines that begin with a blank go on, `#` lines
 * are comments. A name is `user` at any host, `user@host` or `@host`; with an alias `owner-user`, what is forwarded for
 * `user` comes from that one. Programs and files are refused here: those belong in .qmail files. Fails, for good, at the
 * first line that is wrong.
 */
export function parseAliases(text: string): Outcome<ForwardTable> {
  const table = new Map<string, readonly Command[]>();
  for (const { number, line } of logicalLines(text)) {
    const colon = endOfName(line);
    const name = nameOf(line.slice(0, Math.max(0, colon)));
    if (name === "") return permanent("3.5", `line ${number}: no name and colon`);
    const recipients = parseRecipients(line.slice(colon + 1));
    if (recipients.kind !== "done") return permanent("3.5", `line ${number}: ${recipients.text}`);
    const commands: Command[] = [];
    for (const recipient of recipients.value) {
      const command = commandOf(recipient);
      if (command === undefined) return permanent("3.5", refusal(number, recipient));
      commands.push(command);
    }
    table.set(name, [...(table.get(name) ?? []), ...commands]);
  }
  return done(withOwners(table));
}

const refusal = (number: number, { kind, text }: Recipient): string =>
  `line ${number}: ${kind} ${text.slice(0, 200)}: put it into ~alias/.qmail-NAME instead`;

/** A mailbox that other aliases must not catch has no meaning for us: .qmail files decide. */
function commandOf({ kind, text }: Recipient): Command | undefined {
  if (kind === "address" || kind === "mailbox") return { kind: "forward", text };
  return kind === "include" ? { kind: "include", text } : undefined;
}

function withOwners(table: ForwardTable): ForwardTable {
  return new Map(
    [...table].map(([name, commands]) => {
      const owner = name.startsWith("@") ? undefined : `owner-${name}`;
      return [name, owner && table.has(owner) ? [{ kind: "owner", text: owner }, ...commands] : commands];
    }),
  );
}

interface Line {
  readonly number: number;
  readonly line: string;
}

function logicalLines(text: string): readonly Line[] {
  const lines: { number: number; parts: string[] }[] = [];
  for (const [at, line] of text.split("\n").entries()) {
    if (trimBlanks(line) === "" || line.startsWith("#")) continue;
    const isContinuation = line.startsWith(" ") || line.startsWith("\t");
    const last = lines.at(-1);
    if (isContinuation && last) last.parts.push(line);
    else lines.push({ number: at + 1, parts: [line] });
  }
  return lines.map(({ number, parts }) => ({ number, line: parts.join(" ") }));
}

/** The colon after the name, which may be quoted. */
function endOfName(line: string): number {
  let isQuoted = false;
  for (let at = 0; at < line.length; at++) {
    const character = line.charAt(at);
    if (character === "\\") at++;
    else if (character === '"') isQuoted = !isQuoted;
    else if (character === ":" && !isQuoted) return at;
  }
  return -1;
}

const nameOf = (text: string): string =>
  asciiLowerCase(trimBlanks(text).replace(/^"|"$/g, "").replace(/\\(.)/g, "$1")).replace(/\0/g, "");
