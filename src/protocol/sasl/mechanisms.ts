import { apop, cramMd5 } from "./digests.ts";
import { login, plain } from "./plain.ts";
import { scramSha256, scramSha256Plus } from "./scram.ts";
import type { Start, Step } from "./step.ts";

const mechanisms = {
  PLAIN: plain,
  LOGIN: login,
  "SCRAM-SHA-256": scramSha256,
  "SCRAM-SHA-256-PLUS": scramSha256Plus,
  "CRAM-MD5": cramMd5,
  APOP: apop,
} as const satisfies Record<string, (start: Start) => Step>;

export type Mechanism = keyof typeof mechanisms;

/** These work only where passwords are kept so that they can be read. */
export const needsSecret = (mechanism: Mechanism): boolean => mechanism === "CRAM-MD5" || mechanism === "APOP";

/** The mechanism of that name, in any case; `undefined` when there is none. */
export function mechanismOf(name: string): Mechanism | undefined {
  const upper = name.toUpperCase();
  return (Object.keys(mechanisms) as Mechanism[]).find((mechanism) => mechanism === upper);
}

/** Begins an exchange. Each step is used once. */
export const beginExchange = (mechanism: Mechanism, start: Start): Step => mechanisms[mechanism](start);
