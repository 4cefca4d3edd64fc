import { asciiLowerCase } from "../../protocol/address.ts";
import type { Settings } from "../../protocol/control/table.ts";
import { createMeter } from "../../protocol/limits/meter.ts";
import { clientOf, neighbourhoodOf } from "../../protocol/network/network.ts";
import { createRouter, type Router } from "../../protocol/routing/router.ts";
import * as wire from "../../protocol/wire/directory.ts";
import type { Forget } from "../../services/channel/streams.ts";
import type { DirectoryClient } from "../../services/directory-client/directory-client.ts";

/** Whether recipients exist, and who asks for too many that do not. One for all connections of a process. */
export interface Recipients {
  /** Does `directory` have to be asked? Only about what would be delivered here, and not again within seconds. */
  isInDoubt(address: string): boolean;
  /**
   * `answer` gets one of the five of wire/directory.ts, soon: while `directory` is away it is waited for. Those that are
   * `next` are asked about with it, so that all hops are made once: that is all `next` is for, and it may never be called.
   */
  ask(address: string, answer: Answer, next: () => readonly string[]): Forget;
  /** A client guessed wrong. */
  countUnknown(client: string): void;
  /** A client, or those around it, guessed wrong too often within an hour. */
  isGuessing(client: string): boolean;
  reload(settings: Settings): void;
}

type Answer = (value: number) => void;

/** On its way to `directory`. */
interface Question {
  readonly waiting: Set<Answer>;
  readonly forget: Forget;
}

export interface RecipientsOptions {
  readonly settings: Settings;
  readonly directory: DirectoryClient;
  /** How many share the work: each takes its part of the guesses. */
  readonly processes: number;
  readonly seconds: () => number;
}

/** What was there is taken to be there so long. */
const knownSeconds = 10;
const maxKnown = 10_000;
const maxClients = 50_000;
/** Questions on their way, with which no more than those that somebody waits for are asked: `directory` bounds them too. */
const mostForeseen = 200;

export function createRecipients(options: RecipientsOptions): Recipients {
  const { directory, processes, seconds } = options;
  const known = new Map<string, number>();
  /** By address: one question at a time about each. */
  const asked = new Map<string, Question>();
  const byClient = createMeter(0, maxClients);
  const byNeighbourhood = createMeter(0, maxClients);
  let router: Router;
  let isChecked: boolean;

  const reload = (settings: Settings): void => {
    router = createRouter(settings);
    isChecked = settings.recipientcheck === "reject";
    byClient.limit(Math.ceil(settings.maxunknownperaddress / processes));
    byNeighbourhood.limit(Math.ceil(settings.maxunknownpernetwork / processes));
    known.clear();
  };
  reload(options.settings);

  const remember = (address: string): void => {
    const [oldest] = known.size >= maxKnown ? known.keys() : [];
    if (oldest !== undefined) known.delete(oldest);
    known.set(asciiLowerCase(address), seconds() + knownSeconds);
  };
  const isKnown = (address: string): boolean => {
    const key = asciiLowerCase(address);
    const until = known.get(key);
    if (until === undefined) return false;
    if (seconds() < until) return true;
    known.delete(key);
    return false;
  };

  const isInDoubt = (address: string): boolean =>
    isChecked && !isKnown(address) && router.route(address).channel === "local";

  const put = (key: string, address: string): Question => {
    const waiting = new Set<Answer>();
    const forget = directory.askRecipient(address, (value) => {
      asked.delete(key);
      if (value === wire.exists) remember(address);
      const answers = [...waiting];
      waiting.clear();
      for (const answer of answers) answer(value);
    });
    const question = { waiting, forget };
    asked.set(key, question);
    return question;
  };
  const foresee = (addresses: readonly string[]): void => {
    for (const address of addresses) {
      if (asked.size >= mostForeseen / processes) return;
      const key = asciiLowerCase(address);
      if (!asked.has(key) && isInDoubt(address)) put(key, address);
    }
  };
  const ask: Recipients["ask"] = (address, answer, next) => {
    if (!directory.isUp) {
      let forget = directory.whenUp(() => {
        forget = ask(address, answer, next);
      });
      return () => forget();
    }
    const key = asciiLowerCase(address);
    const onItsWay = asked.get(key);
    const { waiting, forget } = onItsWay ?? put(key, address);
    waiting.add(answer);
    if (!onItsWay) foresee(next());
    return () => {
      if (!waiting.delete(answer) || waiting.size > 0) return;
      forget();
      asked.delete(key);
    };
  };

  return {
    isInDoubt,
    ask,
    countUnknown(client) {
      byClient.add(clientOf(client), 1, seconds());
      byNeighbourhood.add(neighbourhoodOf(client), 1, seconds());
    },
    isGuessing: (client) =>
      byClient.exceeds(clientOf(client), 1, seconds()) ||
      byNeighbourhood.exceeds(neighbourhoodOf(client), 1, seconds()),
    reload,
  };
}

/** The reply to RCPT for what `directory` says of its recipient; "" when it may come. */
export function replyFor(answer: number): string {
  switch (answer) {
    case wire.exists:
      return "";
    case wire.doesNotExist:
      return unknownRecipient;
    case wire.overQuotaForNow:
      return "452 4.2.2 the mailbox is full, try again later";
    case wire.overQuotaForGood:
      return "552 5.2.2 the mailbox is full";
    default:
      return "451 4.3.0 cannot tell whether that mailbox exists, try again later";
  }
}

export const unknownRecipient = "550 5.1.1 sorry, no mailbox here by that name";
export const tooManyUnknown = "421 4.7.1 too many recipients that are not here, try again later";
