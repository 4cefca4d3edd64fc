import { done, type Failure, type Outcome, permanent, temporary } from "../outcome.ts";
import { parseQmqpReply } from "../qmqp/reply.ts";

/** How a queueing program ended. */
export interface ProgramEnd {
  /** Absent when a signal ended it. */
  readonly exitCode: number | undefined;
  /** What it wrote on descriptor 6. */
  readonly words: string;
}

/** Of a program's own words so many are passed on. */
export const maxWordsOctets = 255;
const exitOwnWords = 82;

const known: ReadonlyMap<number, Failure> = new Map<number, Failure>([
  ...both(11, 115, permanent("1.3", "envelope address too long for qq")),
  [31, permanent("3.0", "mail server permanently rejected message")],
  [51, temporary("3.0", "qq out of memory")],
  [52, temporary("3.0", "qq timeout")],
  [53, temporary("3.0", "qq write error or disk full")],
  [54, temporary("3.0", "qq read error")],
  [55, temporary("3.0", "qq unable to read configuration")],
  [56, temporary("3.0", "qq trouble making network connection")],
  [61, temporary("3.0", "qq trouble in home directory")],
  ...[62, 63, 64, 65, 66].map((code) => [code, temporary("3.0", "qq trouble creating files in queue")] as const),
  [71, temporary("3.0", "mail server temporarily rejected message")],
  [72, temporary("4.1", "connection to mail server timed out")],
  [73, temporary("4.1", "connection to mail server rejected")],
  [74, temporary("4.2", "communication with mail server failed")],
  ...both(81, 91, temporary("3.0", "qq internal bug")),
  [120, temporary("3.0", "unable to exec qq")],
]);

/** What the end of a queueing program says of the message: 11 to 40 are refusals for good, what nobody knows is for now. */
export function verdictOf({ exitCode, words }: ProgramEnd): Outcome<void> {
  if (exitCode === undefined) return temporary("3.0", "qq crashed");
  if (exitCode === 0) return done(undefined);
  if (exitCode === exitOwnWords && words.length > 2 && "DZ".includes(words.charAt(0))) {
    const own = parseQmqpReply(words.slice(0, maxWordsOctets).trimEnd());
    return own.kind === "done" ? temporary("3.0", "qq temporary problem") : own;
  }
  const failure = known.get(exitCode);
  if (failure) return failure;
  return exitCode >= 11 && exitCode <= 40
    ? permanent("3.0", "qq permanent problem")
    : temporary("3.0", "qq temporary problem");
}

/** How our own queueing program tells a failure to hand the message in to the program that ran it. */
export function exitCodeOf({ kind, status }: Failure): number {
  if (kind === "permanent") return 31;
  return status.startsWith("4.") ? 74 : 71;
}

function both(one: number, other: number, failure: Failure): readonly (readonly [number, Failure])[] {
  return [
    [one, failure],
    [other, failure],
  ];
}
