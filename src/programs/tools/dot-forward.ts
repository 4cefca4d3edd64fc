import { readFileSync } from "node:fs";
import { asciiLowerCase } from "../../protocol/address.ts";
import { parseRecipients, type Recipient } from "../../protocol/alias-file/recipients.ts";
import { errorWords } from "../../protocol/dot-qmail/error-words.ts";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { readMessage } from "../../services/injection/read-message.ts";
import { errorCode, pathOf } from "../../services/maildir/file.ts";
import { handIn } from "./hand-in.ts";
import { runPrograms } from "./run-programs.ts";
import { type Call, exitDone, exitStop, fail, misused, needVariables, octets } from "./tool.ts";

const maxIncludes = 100;

/**
 * dot-forward [-n] FILE...: does what the first .forward file that is there says, and exits 99: the lines after it in the
 * .qmail file do not count. Without a file, or when the user himself is among the recipients, they do: 0.
 */
export async function dotForward(call: Call): Promise<number> {
  const prints = call.args[0] === "-n";
  const files = prints ? call.args.slice(1) : call.args;
  if (files.length === 0) return misused(call, "[-n] FILE ...");
  const variables = needVariables(call, ["NEWSENDER", "DTLINE"]);
  if (variables.kind !== "done") return fail(call, variables);
  const [reversePath = "", prefix = ""] = variables.value;
  const found = readFirst(files);
  if (found.kind !== "done") return fail(call, found);
  const wishes = sortRecipients(found.value, ownNames(call));
  if (wishes.kind !== "done") return fail(call, wishes);
  const { forwardPaths, programs, keeps } = wishes.value;
  const whenDone = keeps || forwardPaths.length + programs.length === 0 ? exitDone : exitStop;
  if (prints) {
    const lines = [
      ...programs.map((program) => `program ${program}\n`),
      ...forwardPaths.map((to) => `forward ${to}\n`),
    ];
    process.stdout.write(`${lines.join("")}${keeps ? "keep\n" : ""}`, "latin1");
    return whenDone;
  }
  if (forwardPaths.length + programs.length === 0) return whenDone;
  const message = await readMessage(process.stdin);
  if (message.kind !== "done") return fail(call, message);
  const failed = await runPrograms(call, programs, message.value);
  if (failed !== undefined) return failed;
  return await handIn(call, { reversePath, forwardPaths, prefix, message }, whenDone);
}

interface ForwardWishes {
  readonly forwardPaths: readonly string[];
  readonly programs: readonly string[];
  /** The user keeps a copy. */
  readonly keeps: boolean;
}

/** Sorts what a .forward file says; names of the user himself, in lower case, mean his own mailbox. */
export function sortRecipients(
  recipients: readonly Recipient[],
  own: ReadonlySet<string>,
  include: (path: string) => Outcome<readonly Recipient[]> = readRecipients,
): Outcome<ForwardWishes> {
  const forwardPaths = new Set<string>();
  const programs: string[] = [];
  let keeps = false;
  const included = new Set<string>();
  const pending = recipients.toReversed();
  for (let recipient = pending.pop(); recipient; recipient = pending.pop()) {
    const { kind, text } = recipient;
    if (kind === "file") return temporary("3.5", `${text}: files belong into .qmail, where they are locked`);
    if (kind === "program") programs.push(text);
    else if (kind === "include") {
      if (included.has(text)) continue;
      included.add(text);
      if (included.size > maxIncludes) return temporary("3.5", `more than ${maxIncludes} included files`);
      const more = include(text);
      if (more.kind !== "done") return more;
      for (const each of more.value.toReversed()) pending.push(each);
    } else if (own.has(asciiLowerCase(text))) keeps = true;
    else forwardPaths.add(text);
  }
  return done({ forwardPaths: [...forwardPaths], programs, keeps });
}

function ownNames({ environment }: Call): ReadonlySet<string> {
  const variable = (name: string): string => asciiLowerCase(octets(environment[name] ?? ""));
  const host = variable("HOST");
  const names = [variable("USER"), variable("LOCAL")].filter((name) => name !== "");
  return new Set([...names, ...names.map((name) => `${name}@${host}`), variable("RECIPIENT")]);
}

/** The recipients in the first of the files that is there; none when there is none. */
function readFirst(files: readonly string[]): Outcome<readonly Recipient[]> {
  for (const file of files) {
    const text = readText(file);
    if (text.kind !== "done") return text;
    if (text.value !== undefined) return parseText(file, text.value);
  }
  return done([]);
}

function readRecipients(path: string): Outcome<readonly Recipient[]> {
  const text = readText(pathOf(path));
  if (text.kind !== "done") return text;
  return text.value === undefined ? temporary("3.5", `there is no ${path}`) : parseText(path, text.value);
}

/** A mistake in it waits for its user: the message stays. */
function parseText(file: string, text: string): Outcome<readonly Recipient[]> {
  const recipients = parseRecipients(text);
  return recipients.kind === "done" ? recipients : temporary("3.5", `${file}: ${recipients.text}`);
}

function readText(path: string): Outcome<string | undefined> {
  try {
    return done(readFileSync(path, "latin1"));
  } catch (error) {
    const code = errorCode(error);
    return code === "ENOENT" ? done(undefined) : temporary("3.0", `unable to read ${path}: ${errorWords(code)}`);
  }
}
