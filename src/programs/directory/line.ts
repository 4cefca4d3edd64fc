/** Questions to one peer: so many at a time, the others wait their turn, and each gets one answer. */
export interface Line<Answer> {
  /** `encode` makes the frame for the stream it is asked on. */
  ask(encode: (stream: number) => Buffer): Promise<Answer>;
  /** The peer's answer; "broken" to what was never asked. One that comes when nobody waits any more is dropped. */
  answer(stream: number, value: Answer): undefined | "broken";
  /** The peer is there. */
  open(send: (frame: Buffer) => void): void;
  /** The peer is gone. What was asked is asked again: a restart of it is to be invisible. */
  close(): void;
}

export interface LineLimits<Answer> {
  readonly atOnce: number;
  readonly maxWaiting: number;
  /** Waiting and asked together. */
  readonly longestMs: number;
  /** The answer when there is none. */
  readonly none: Answer;
  /** Tells the peer that nobody waits for its answer. Without it a question keeps its place until it is answered. */
  readonly forget?: (stream: number) => Buffer;
}

interface Question<Answer> {
  readonly encode: (stream: number) => Buffer;
  readonly answer: (value: Answer) => void;
}

export function createLine<Answer>(limits: LineLimits<Answer>): Line<Answer> {
  const { atOnce, maxWaiting, longestMs, none, forget } = limits;
  const asked = new Map<number, Question<Answer>>();
  const waiting = new Set<Question<Answer>>();
  let send: ((frame: Buffer) => void) | undefined;
  let next = 1;
  /** Streams from here on were asked on this connection. */
  let first = 1;

  const advance = (): void => {
    for (const question of waiting) {
      if (!send || asked.size >= atOnce) return;
      waiting.delete(question);
      const stream = next;
      next = (next + 1) >>> 0;
      asked.set(stream, question);
      send(question.encode(stream));
    }
  };

  const giveUp = (question: Question<Answer>): void => {
    waiting.delete(question);
    const [stream] = [...asked].find(([, one]) => one === question) ?? [];
    if (stream === undefined || !send || !forget) return;
    asked.delete(stream);
    send(forget(stream));
    advance();
  };

  return {
    ask(encode) {
      if (waiting.size >= maxWaiting) return Promise.resolve(none);
      const { promise, resolve } = Promise.withResolvers<Answer>();
      const question: Question<Answer> = {
        encode,
        answer(value) {
          clearTimeout(clock);
          resolve(value);
        },
      };
      const clock = setTimeout(() => {
        giveUp(question);
        resolve(none);
      }, longestMs);
      waiting.add(question);
      advance();
      return promise;
    },
    answer(stream, value) {
      const question = asked.get(stream);
      if (!question) return forget && stream >= first && stream < next ? undefined : "broken";
      asked.delete(stream);
      question.answer(value);
      advance();
      return undefined;
    },
    open(to) {
      send = to;
      advance();
    },
    close() {
      send = undefined;
      first = next;
      for (const question of asked.values()) waiting.add(question);
      asked.clear();
    },
  };
}
