import { asciiLowerCase, isEnvelopeAddress } from "../../protocol/address.ts";
import type { Route } from "../../protocol/routing/router.ts";
import { cannotTell, exists } from "../../protocol/wire/directory.ts";

export interface RecipientsOptions {
  readonly route: (address: string) => Route;
  /** What `local` says of an address as it would get it. */
  readonly ask: (address: string) => Promise<number>;
  readonly nowMs: () => number;
}

export interface Recipients {
  /** One of the answers of wire/directory.ts. */
  ask(address: string): Promise<number>;
  /** What was true may be no more. */
  forget(): void;
}

/** So long an answer counts; a mailbox that has just been made is soon there. */
const existsMs = 60_000;
const otherwiseMs = 5_000;
const maxRemembered = 10_000;

interface Remembered {
  readonly answer: number;
  readonly untilMs: number;
}

/** Says whether recipients exist, and remembers it for a while. One question about an address is under way at a time. */
export function createRecipients({ route, ask, nowMs }: RecipientsOptions): Recipients {
  let remembered = new Map<string, Remembered>();
  const asked = new Map<string, Promise<number>>();

  const remember = (key: string, answer: number): void => {
    remembered.delete(key);
    const [oldest] = remembered.keys();
    if (remembered.size >= maxRemembered && oldest !== undefined) remembered.delete(oldest);
    remembered.set(key, { answer, untilMs: nowMs() + (answer === exists ? existsMs : otherwiseMs) });
  };

  const find = async (key: string, address: string): Promise<number> => {
    const began = remembered;
    const answer = await ask(address);
    asked.delete(key);
    if (answer !== cannotTell && began === remembered) remember(key, answer);
    return answer;
  };

  return {
    async ask(recipient) {
      if (!isEnvelopeAddress(recipient)) return cannotTell;
      const { channel, address } = route(recipient);
      if (channel === "remote") return cannotTell;
      const key = asciiLowerCase(address);
      const known = remembered.get(key);
      if (known && nowMs() < known.untilMs) return known.answer;
      const answer = asked.get(key) ?? find(key, address);
      asked.set(key, answer);
      return await answer;
    },
    forget() {
      remembered = new Map();
    },
  };
}
