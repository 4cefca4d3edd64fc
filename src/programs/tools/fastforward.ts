import { readFileSync } from "node:fs";
import { type Command, decodeCommands, type Expansion, expand } from "../../protocol/alias-file/forward-table.ts";
import { errorWords } from "../../protocol/dot-qmail/error-words.ts";
import { done, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { readMessage } from "../../services/injection/read-message.ts";
import { errorCode, pathOf } from "../../services/maildir/file.ts";
import { handIn } from "./hand-in.ts";
import { runPrograms } from "./run-programs.ts";
import { type Call, exitDone, exitStop, fail, misused, needVariables } from "./tool.ts";

/**
 * fastforward [-nNpPdD] CDB: does what an alias file, made by newaliases or setforward, says for the recipient. Unknown:
 * 100, with -p 0; known: 0, with -p 99, so that further lines are for the unknown.
 */
export async function fastforward(call: Call): Promise<number> {
  const options = parseFastforwardOptions(call.args);
  if (options === undefined) return misused(call, "[-nNpPdD] CDB");
  const names = options.byDefault ? ["DEFAULT", "HOST"] : ["RECIPIENT"];
  const variables = needVariables(call, ["SENDER", "DTLINE", ...names]);
  if (variables.kind !== "done") return fail(call, variables);
  const [sender = "", prefix = "", ...parts] = variables.value;
  const address = parts.join("@");
  const expansion = readExpansion(options.file, address);
  if (expansion.kind !== "done") return fail(call, expansion);
  if (expansion.value === undefined) {
    if (options.passes) return exitDone;
    return fail(call, permanent("1.1", "Sorry, no mailbox here by that name. (#5.1.1)"));
  }
  const whenDone = options.passes ? exitStop : exitDone;
  if (options.prints) {
    process.stdout.write(describe(expansion.value), "latin1");
    return whenDone;
  }
  const { forwardPaths, programs, owner } = expansion.value;
  const message = await readMessage(process.stdin);
  if (message.kind !== "done") return fail(call, message);
  const failed = await runPrograms(call, programs, message.value);
  if (failed !== undefined) return failed;
  const reversePath = owner === undefined || sender === "" || sender === "#@[]" ? sender : ownerAt(owner, address);
  return await handIn(call, { reversePath, forwardPaths, prefix, message }, whenDone);
}

const ownerAt = (owner: string, address: string): string =>
  owner.includes("@") ? owner : `${owner}${address.slice(address.lastIndexOf("@"))}`;

const describe = ({ forwardPaths, programs, owner }: Expansion): string =>
  [
    ...programs.map((program) => `program ${program}\n`),
    ...(owner === undefined ? [] : [`owner ${owner}\n`]),
    ...forwardPaths.map((address) => `forward ${address}\n`),
  ].join("");

interface FastforwardOptions {
  /** Print, do nothing. */
  readonly prints: boolean;
  readonly passes: boolean;
  /** The address is DEFAULT at HOST, not RECIPIENT. */
  readonly byDefault: boolean;
  readonly file: string;
}

/** `undefined` for what is no use of it. A capital takes its letter back. */
export function parseFastforwardOptions(args: readonly string[]): FastforwardOptions | undefined {
  const letters = args.filter((arg) => arg.startsWith("-")).flatMap((arg) => [...arg.slice(1)]);
  const [file, ...more] = args.filter((arg) => !arg.startsWith("-"));
  if (file === undefined || more.length > 0 || letters.some((letter) => !"nNpPdD".includes(letter))) return undefined;
  const isOn = (letter: string): boolean => letters.lastIndexOf(letter) > letters.lastIndexOf(letter.toUpperCase());
  return { prints: isOn("n"), passes: isOn("p"), byDefault: isOn("d"), file };
}

function readExpansion(path: string, address: string): Outcome<Expansion | undefined> {
  const file = readOctets(path);
  if (file.kind !== "done") return file;
  const expansion = expand(file.value, address, readInclude);
  // Whoever wrote the file can change it; a message that waits comes through then.
  return expansion.kind === "temporary" ? temporary("3.5", `${path}: ${expansion.text}`) : expansion;
}

function readInclude(path: string): Outcome<readonly Command[]> {
  const file = readOctets(pathOf(`${path}.bin`));
  return file.kind === "done" ? decodeCommands(file.value.toString("latin1")) : file;
}

function readOctets(path: string): Outcome<Buffer> {
  try {
    return done(readFileSync(path));
  } catch (error) {
    return temporary("3.0", `unable to read ${path}: ${errorWords(errorCode(error))}`);
  }
}
