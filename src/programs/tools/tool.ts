import { errorWords } from "../../protocol/dot-qmail/error-words.ts";
import { done, type Failure, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import type { Environment } from "../../services/injection/inject.ts";
import { errorCode } from "../../services/maildir/file.ts";

/** One call of a program. Texts as Node gives them. */
export interface Call {
  readonly name: string;
  readonly args: readonly string[];
  readonly environment: Environment;
}

/** Does it, and says with which code to exit. */
export type Tool = (call: Call) => Promise<number> | number;

export const exitDone = 0;
/** In a .qmail file: done, and the lines after this one do not count. */
export const exitStop = 99;
export const exitPermanent = 100;
export const exitTemporary = 111;

/** Says why a program fails; the code to exit with. */
export function fail({ name }: Call, failure: Failure): number {
  process.stderr.write(`${name}: fatal: ${failure.text}\n`, "latin1");
  return failure.kind === "permanent" ? exitPermanent : exitTemporary;
}

/** Says how a program is called; the code to exit with. */
export function misused({ name }: Call, usage: string): number {
  process.stderr.write(`${name}: usage: ${name} ${usage}\n`);
  return exitPermanent;
}

/** A text of the command line or environment as the octets it was. */
export const octets = (text: string): string => Buffer.from(text, "utf8").toString("latin1");

/** The values of variables that must be set, as octets. */
export function needVariables({ environment }: Call, names: readonly string[]): Outcome<readonly string[]> {
  const missing = names.find((name) => environment[name] === undefined);
  if (missing !== undefined) return permanent("3.5", `${missing} is not set: this runs from a .qmail file`);
  return done(names.map((name) => octets(environment[name] ?? "")));
}

/** Beyond this nothing is read: a table of a million names has room. */
const maxTableOctets = 268_435_456;

/** All of standard input that is no message, as octets. */
export async function readTable(): Promise<Outcome<string>> {
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    for await (const piece of process.stdin as AsyncIterable<Buffer>) {
      length += piece.length;
      if (length > maxTableOctets) return permanent("3.4", `standard input has more than ${maxTableOctets} octets`);
      pieces.push(piece);
    }
    return done(Buffer.concat(pieces).toString("latin1"));
  } catch (error) {
    return temporary("3.0", `unable to read standard input: ${errorWords(errorCode(error))}`);
  }
}
