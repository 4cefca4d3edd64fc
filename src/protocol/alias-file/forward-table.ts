import type { Buffer } from "node:buffer";
import { asciiLowerCase } from "../address.ts";
import { findInCdb, readCdb } from "../cdb/read.ts";
import { writeCdb } from "../cdb/write.ts";
import { done, type Outcome, permanent, temporary } from "../outcome.ts";

/** What is to be done for one name. Text holds no NUL. */
export interface Command {
  /** "owner": who what is forwarded comes from; "include": the commands in a file. */
  readonly kind: "forward" | "program" | "include" | "owner";
  readonly text: string;
}

/** By name in lower case: `user`, `user@host` or `@host`. */
export type ForwardTable = ReadonlyMap<string, readonly Command[]>;

/** What each command begins with. */
export const commandLetters: ReadonlyMap<string, Command["kind"]> = new Map([
  ["&", "forward"],
  ["|", "program"],
  ["<", "include"],
  ["?", "owner"],
]);

export const letterOf = (kind: Command["kind"]): string =>
  [...commandLetters].find(([, known]) => known === kind)?.[0] ?? "&";

/** Commands as the cdb and include files have them: a letter, the text, a NUL. */
export const encodeCommands = (commands: readonly Command[]): string =>
  commands.map(({ kind, text }) => `${letterOf(kind)}${text}\0`).join("");

/** Fails, for now, for what `encodeCommands` did not write. */
export function decodeCommands(data: string): Outcome<readonly Command[]> {
  if (data !== "" && !data.endsWith("\0")) return temporary("3.5", "the list was cut short");
  const commands: Command[] = [];
  for (const record of data.split("\0").slice(0, -1)) {
    const kind = commandLetters.get(record.charAt(0));
    if (kind === undefined) return temporary("3.5", "the list is not one of ours");
    commands.push({ kind, text: record.slice(1) });
  }
  return done(commands);
}

/** The table as a cdb: the key is a colon and the name. */
export const encodeTable = (table: ForwardTable): Outcome<Buffer> =>
  writeCdb([...table].map(([name, commands]) => [`:${name}`, encodeCommands(commands)] as const));

/** All of a cdb, for people. */
export function decodeTable(file: Buffer): Outcome<ForwardTable> {
  const records = readCdb(file);
  if (records.kind !== "done") return records;
  const table = new Map<string, readonly Command[]>();
  for (const [key, data] of records.value) {
    const commands = decodeCommands(data);
    if (commands.kind !== "done") return commands;
    table.set(key.slice(1), commands.value);
  }
  return done(table);
}

/** What is done for an address: of `user@host`, `user` and `@host` the first that is there. `undefined`: none. */
export function lookUp(file: Buffer, address: string): Outcome<readonly Command[] | undefined> {
  const folded = asciiLowerCase(address);
  const at = folded.lastIndexOf("@");
  const names = at < 0 ? [folded] : [folded, folded.slice(0, at), folded.slice(at)];
  for (const name of names) {
    const data = findInCdb(file, `:${name}`);
    if (data.kind !== "done") return data;
    if (data.value !== undefined) return decodeCommands(data.value);
  }
  return done(undefined);
}

/** What an address comes to in the end. */
export interface Expansion {
  readonly forwardPaths: readonly string[];
  readonly programs: readonly string[];
  /** Who forwards come from; absent: who the message came from. */
  readonly owner: string | undefined;
}

/** Names followed for one message: an alias may lead to others, and in a circle. */
export const maxExpandedNames = 10_000;

/**
 * Follows an address through the table, and what that leads to, until nothing in it is an alias; `undefined` when it is
 * none itself. The last owner met counts. `include` gives the commands of a file.
 */
export function expand(
  file: Buffer,
  address: string,
  include: (path: string) => Outcome<readonly Command[]>,
): Outcome<Expansion | undefined> {
  const first = lookUp(file, address);
  if (first.kind !== "done" || first.value === undefined) return first as Outcome<undefined>;
  const forwardPaths = new Set<string>();
  const programs = new Set<string>();
  let owner: string | undefined;
  const seen = new Set([asciiLowerCase(address)]);
  const included = new Set<string>();
  let isCircular = false;
  const pending: Command[] = first.value.toReversed();
  for (let command = pending.pop(); command; command = pending.pop()) {
    const { kind, text } = command;
    if (kind === "owner") owner = text;
    else if (kind === "program") programs.add(text);
    else if (kind === "include") {
      if (included.has(text)) continue;
      included.add(text);
      const commands = include(text);
      if (commands.kind !== "done") return commands;
      for (const each of commands.value.toReversed()) pending.push(each);
    } else {
      const name = asciiLowerCase(text);
      if (seen.has(name)) {
        // `joe: joe, ann` means joe himself; should he be nobody else, his copy comes back as looping.
        if (first.value.includes(command) && name === asciiLowerCase(address)) forwardPaths.add(text);
        isCircular = true;
        continue;
      }
      seen.add(name);
      if (seen.size > maxExpandedNames) return permanent("3.5", `more than ${maxExpandedNames} names in one alias`);
      const commands = lookUp(file, text);
      if (commands.kind !== "done") return commands;
      if (commands.value === undefined) forwardPaths.add(text);
      else for (const each of commands.value.toReversed()) pending.push(each);
    }
  }
  if (isCircular && forwardPaths.size === 0 && programs.size === 0) {
    return permanent("4.6", `the alias ${address} leads only to itself`);
  }
  return done({ forwardPaths: [...forwardPaths], programs: [...programs], owner });
}
