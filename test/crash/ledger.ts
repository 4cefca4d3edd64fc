/**
 * What a client knows of a message: the server has it, has not, or may have it; "unfinished": the client never sent its
 * end; "unreachable": nobody listened.
 */
export type Answer = "acknowledged" | "refused" | "doubtful" | "unfinished" | "unreachable";

/** A message as its client saw it. */
export interface Sent {
  readonly exit: string;
  /** Before its first octet was sent. */
  readonly atMs: number;
  /** When the answer was there. */
  readonly untilMs?: number;
  readonly answer: Answer;
}

/** One copy of message `n` where it ended up. `atMs`: when it came there, if known. */
export interface Copy {
  readonly n: number;
  readonly isWhole: boolean;
  readonly atMs?: number;
}

/** A place where the messages of one exit end up, and what it is promised. */
export interface Place {
  readonly name: string;
  readonly exit: string;
  readonly promise: "once" | "at least once";
  readonly copies: readonly Copy[];
}

/** A time in which the whole server was down. */
export interface Outage {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Verdict {
  readonly acknowledged: number;
  readonly refused: number;
  readonly doubtful: number;
  readonly unfinished: number;
  readonly unreachable: number;
  readonly copies: number;
  /** Copies too many that a crash explains, where repeating is all that can be done. */
  readonly repeated: number;
  readonly lost: number;
  /** Messages that are somewhere more often than they may be. */
  readonly doubled: number;
  readonly torn: number;
  /** One line for each broken promise. */
  readonly wrong: readonly string[];
}

/**
 * Holds what was acknowledged against what is there. A copy too many is accepted only in places promised "at least
 * once", and only if there was a crash between the sending and that copy; being unreachable only in an outage.
 */
export function judge(
  sent: ReadonlyMap<number, Sent>,
  places: readonly Place[],
  crashesMs: readonly number[],
  outages: readonly Outage[] = [],
): Verdict {
  const wrong: string[] = [];
  const total = { copies: 0, repeated: 0, lost: 0, doubled: 0, torn: 0 };
  for (const { name, exit, promise, copies } of places) {
    const byMessage = Map.groupBy(copies, ({ n }) => n);
    total.copies += copies.length;
    for (const [n, found] of byMessage) {
      if (sent.get(n)?.exit !== exit) wrong.push(`message ${n} is in ${name}, and was not sent there`);
      if (found.every(({ isWhole }) => isWhole)) continue;
      total.torn++;
      wrong.push(`message ${n} in ${name} is not whole`);
    }
    for (const [n, message] of sent) {
      if (message.exit !== exit) continue;
      const found = byMessage.get(n) ?? [];
      const tooMany = copiesTooMany(message, found);
      if (promise === "at least once" && isExplained(message, tooMany, crashesMs)) total.repeated += tooMany.length;
      else if (tooMany.length > 0) {
        total.doubled++;
        wrong.push(`message ${n}, ${message.answer}, is in ${name} ${found.length} times`);
      }
      if (message.answer !== "acknowledged" || found.length > 0) continue;
      total.lost++;
      wrong.push(`message ${n} was acknowledged${lateBy(message, crashesMs)} and is not in ${name}`);
    }
  }
  for (const [n, message] of sent) {
    if (isReachable(message, outages)) wrong.push(`nobody listened when message ${n} came`);
  }
  const answers = [...sent.values()].map(({ answer }) => answer);
  const count = (wanted: Answer): number => answers.filter((answer) => answer === wanted).length;
  return {
    acknowledged: count("acknowledged"),
    refused: count("refused"),
    doubtful: count("doubtful"),
    unfinished: count("unfinished"),
    unreachable: count("unreachable"),
    ...total,
    wrong,
  };
}

const mayBeThere = ({ answer }: Sent): boolean => answer === "acknowledged" || answer === "doubtful";

/** When each copy beyond the one that may be there came. */
const copiesTooMany = (message: Sent, found: readonly Copy[]): number[] =>
  found
    .map((copy) => copy.atMs ?? 0)
    .sort((a, b) => a - b)
    .slice(mayBeThere(message) ? 1 : 0);

const isExplained = (message: Sent, tooMany: readonly number[], crashesMs: readonly number[]): boolean =>
  mayBeThere(message) &&
  tooMany.every((copyMs) => crashesMs.some((crashMs) => message.atMs < crashMs && crashMs < copyMs));

/** The words that tell a reader when a crash and an answer crossed. */
function lateBy({ atMs, untilMs = atMs }: Sent, crashesMs: readonly number[]): string {
  const crashMs = crashesMs.find((each) => atMs < each && each <= untilMs);
  return crashMs === undefined ? "" : ` (read ${untilMs - crashMs} ms after a crash)`;
}

const isReachable = ({ answer, atMs, untilMs = atMs }: Sent, outages: readonly Outage[]): boolean =>
  answer === "unreachable" && !outages.some(({ fromMs, toMs }) => fromMs <= untilMs && atMs <= toMs);
