/** What a client was told of a message: it has it, it has not, or nothing. */
export type Answer = "acknowledged" | "refused" | "doubtful";

/** A message as its client saw it. */
export interface Sent {
  readonly exit: string;
  /** Before its first octet was sent. */
  readonly atMs: number;
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

export interface Verdict {
  readonly acknowledged: number;
  readonly refused: number;
  readonly doubtful: number;
  readonly copies: number;
  /** Copies too many that a crash explains, where repeating is all that can be done. */
  readonly repeated: number;
  readonly lost: number;
  /** One line for each broken promise. */
  readonly wrong: readonly string[];
}

/**
 * Holds what was acknowledged against what is there. A copy too many is accepted only in places promised "at least
 * once", and only if there was a crash between the sending and that copy.
 */
export function judge(
  sent: ReadonlyMap<number, Sent>,
  places: readonly Place[],
  crashesMs: readonly number[],
): Verdict {
  const wrong: string[] = [];
  const total = { copies: 0, repeated: 0, lost: 0 };
  for (const { name, exit, promise, copies } of places) {
    const byMessage = Map.groupBy(copies, ({ n }) => n);
    total.copies += copies.length;
    for (const [n, found] of byMessage) {
      if (sent.get(n)?.exit !== exit) wrong.push(`message ${n} is in ${name}, and was not sent there`);
      if (found.some(({ isWhole }) => !isWhole)) wrong.push(`message ${n} in ${name} is not whole`);
    }
    for (const [n, { answer, atMs }] of sent) {
      if (sent.get(n)?.exit !== exit) continue;
      const found = byMessage.get(n) ?? [];
      const tooMany = found
        .map((copy) => copy.atMs ?? 0)
        .sort((a, b) => a - b)
        .slice(answer === "refused" ? 0 : 1);
      const explained = tooMany.filter((copyMs) => crashesMs.some((crashMs) => atMs < crashMs && crashMs < copyMs));
      const isAllowed = promise === "at least once" && answer !== "refused" && explained.length === tooMany.length;
      if (isAllowed) total.repeated += tooMany.length;
      else if (tooMany.length > 0) wrong.push(`message ${n}, ${answer}, is in ${name} ${found.length} times`);
      if (answer !== "acknowledged" || found.length > 0) continue;
      total.lost++;
      wrong.push(`message ${n} was acknowledged and is not in ${name}`);
    }
  }
  const answers = [...sent.values()].map(({ answer }) => answer);
  const count = (wanted: Answer): number => answers.filter((answer) => answer === wanted).length;
  return {
    acknowledged: count("acknowledged"),
    refused: count("refused"),
    doubtful: count("doubtful"),
    ...total,
    wrong,
  };
}
