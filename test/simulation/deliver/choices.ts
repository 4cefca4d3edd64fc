/** Where chance would decide: a seeded `Random`, or every possibility in turn. */
export interface Choices {
  /** 0 to `limit - 1`. */
  below(limit: number): number;
}

/** Calls `play` with one sequence of choices after the other until all were made, `most` times at most. True if all were. */
export async function everyChoice(most: number, play: (choices: Choices) => Promise<void>): Promise<boolean> {
  let path: { chosen: number; limit: number }[] = [];
  for (let n = 0; n < most; n++) {
    let at = 0;
    await play({
      below(limit) {
        const step = path[at] ?? { chosen: 0, limit };
        path[at++] = step;
        return step.chosen;
      },
    });
    path = path.slice(0, at);
    for (let last = path.at(-1); last && last.chosen === last.limit - 1; last = path.at(-1)) path.pop();
    const last = path.at(-1);
    if (!last) return true;
    last.chosen++;
  }
  return false;
}
