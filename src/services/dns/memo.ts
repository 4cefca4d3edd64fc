import type { Answer } from "./dns.ts";

export interface Looked<Value> {
  readonly answer: Answer<Value>;
  readonly ttlMs: number;
}

export const maxLookUpMs = 20_000;
/** Answers are kept this long at most, and as many of them. */
export const maxKeptMs = 60_000;
const maxKept = 2_000;

export const inTime = "DNS servers did not answer in time";
export const late: Answer<never> = { kind: "unknown", why: inTime };

type Ask = <Value>(type: string, name: string, look: () => Promise<Looked<Value>>) => Promise<Answer<Value>>;

/** The same question is asked once while its answer is awaited or fresh; what stays unknown is not kept. */
export function createMemo(now: () => number): Ask {
  const kept = new Map<string, { readonly answer: Promise<Answer<unknown>>; untilMs: number }>();
  return <Value>(type: string, name: string, look: () => Promise<Looked<Value>>): Promise<Answer<Value>> => {
    const key = `${type} ${name.toLowerCase()}`;
    const old = kept.get(key);
    if (old && old.untilMs > now()) return old.answer as Promise<Answer<Value>>;
    const entry = { answer: Promise.resolve<Answer<Value>>(late), untilMs: Number.POSITIVE_INFINITY };
    entry.answer = withinBound(look(), { answer: late, ttlMs: 0 }).then(({ answer, ttlMs }) => {
      entry.untilMs = now() + Math.min(answer.kind === "unknown" ? 0 : ttlMs, maxKeptMs);
      return answer;
    });
    kept.delete(key);
    kept.set(key, entry);
    for (const oldest of kept.keys()) {
      if (kept.size <= maxKept) break;
      kept.delete(oldest);
    }
    return entry.answer;
  };
}

/** Servers may be many, and each has its time; nobody waits longer than `maxLookUpMs`. */
export async function withinBound<Value>(asked: Promise<Value>, otherwise: Value): Promise<Value> {
  const { promise, resolve } = Promise.withResolvers<Value>();
  const timer = setTimeout(resolve, maxLookUpMs, otherwise);
  try {
    return await Promise.race([asked, promise]);
  } finally {
    clearTimeout(timer);
  }
}
