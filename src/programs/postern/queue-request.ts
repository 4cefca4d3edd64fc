import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import { parseDuration } from "./quantity.ts";

export const queueActions = ["count", "list", "show", "retry", "hold", "release", "delete", "blocked", "open"] as const;
export type QueueAction = (typeof queueActions)[number];

/** What the operator asks of `queue`. An empty filter means every message. */
export interface QueueRequest {
  readonly command: QueueAction;
  readonly filter: {
    readonly ids?: readonly number[];
    readonly sender?: string;
    readonly recipient?: string;
    readonly destination?: string;
    readonly olderThanS?: number;
  };
  readonly limit?: number;
}

export interface QueueWords {
  readonly id?: readonly string[] | undefined;
  readonly sender?: string | undefined;
  readonly recipient?: string | undefined;
  readonly destination?: string | undefined;
  readonly "older-than"?: string | undefined;
  readonly limit?: string | undefined;
  readonly all?: boolean | undefined;
}

/** Shown at once unless asked for more; what changes the queue has no such limit. */
const usualLimit = 100;
const mostShown = 1_000_000;

/** Makes a request of a command line's words. What cannot be taken back asks for a filter, or for --all by name. */
export function queueRequest(command: QueueAction, ids: readonly string[], words: QueueWords): Outcome<QueueRequest> {
  const numbers = [...ids, ...(words.id ?? [])].flatMap((text) => text.split(","));
  const wrong = numbers.find((text) => !/^[0-9]{1,15}$/.test(text));
  if (wrong !== undefined) return permanent("5.1", `"${wrong}" is not the number of a message`);
  const age = words["older-than"];
  const olderThanS = age === undefined ? undefined : parseDuration(age);
  if (age !== undefined && olderThanS === undefined)
    return permanent("5.1", `"${age}" is not an age like 10m, 3h or 2d`);
  const { sender, recipient, destination } = words;
  const filter = {
    ...(numbers.length > 0 ? { ids: numbers.map(Number) } : {}),
    ...(sender === undefined ? {} : { sender }),
    ...(recipient === undefined ? {} : { recipient }),
    ...(destination === undefined ? {} : { destination }),
    ...(olderThanS === undefined ? {} : { olderThanS }),
  };
  const filtered = Object.keys(filter).length > 0;
  if (filtered && words.all) return permanent("5.1", "--all and a filter: which of them is meant?");
  if (!filtered && !words.all && (command === "delete" || command === "hold")) {
    return permanent("5.1", `${command} what? Name messages, or give a filter, or --all for every message`);
  }
  if ((command === "blocked" || command === "open") && Object.keys(filter).some((name) => name !== "destination"))
    return permanent("5.1", `${command} takes no filter but --destination`);
  if (command !== "list" && command !== "show" && command !== "blocked") return done({ command, filter });
  const limit = words.limit ?? String(usualLimit);
  if (!/^[0-9]{1,7}$/.test(limit) || Number(limit) > mostShown || Number(limit) === 0) {
    return permanent("5.1", `"${limit}" is not a number from 1 to ${mostShown}`);
  }
  return done({ command, filter, limit: Number(limit) });
}
