import { notifyNever, notifySuccess } from "../../src/protocol/wire/submission.ts";
import type { Change } from "../../src/services/storage/storage.ts";
import type { Heard, Recipient } from "./ledger.ts";

type NewMessage = Extract<Change, { kind: "message" }>;

/** What the reports in one batch say: action, whom they tell, of whom; each as often as it is said. */
export class Said {
  readonly #said: string[];

  constructor(made: readonly NewMessage[]) {
    this.#said = made.flatMap(linesOf);
  }

  /** Takes one away; false when it is not there. */
  take(action: string, to: string, of: string): boolean {
    const at = this.#said.indexOf(`${action} ${to} ${of}`);
    if (at >= 0) this.#said.splice(at, 1);
    return at >= 0;
  }

  /** What is left. */
  get rest(): readonly string[] {
    return this.#said;
  }
}

function linesOf({ message, recipients: [first] }: NewMessage): string[] {
  const prefix = Buffer.from(message.prefix).toString("latin1");
  if (!/^Received: \(postern \d+ invoked for bounce\)/.test(prefix)) return [];
  const own = prefix.slice(0, prefix.indexOf("\nReturn-Path: <")); // what follows is a copy, of a bounce maybe
  const blocks = own.matchAll(/^Final-Recipient: rfc822; (.*)\nAction: (.*)$/gm);
  return [...blocks].map(([, of, action]) => `${action} ${first?.forwardPath} ${of}`);
}

/** Who is told of what becomes of a message with this reverse-path. */
export const toldOf = (reversePath: string): string =>
  reversePath === "" ? "postmaster@here.org" : reversePath.replace(/-@\[\]$/, "");

/** What its sender must hear of a recipient that is delivered (RFC 3461 §5.2). */
export function successOf({ message, channel, notify }: Recipient, heard: Heard): string | undefined {
  if ((notify & notifySuccess) === 0 || message.reversePath === "" || message.reversePath === "#@[]") return undefined;
  if (channel === "remote") return heard.takesDsn ? undefined : "relayed";
  return heard.copies === 0 ? "delivered" : heard.copies === 1 ? undefined : "expanded";
}

/** What of the wishes for a recipient goes on with its copies (RFC 3461 §5.2.7). */
export const passedOn = (notify: number, copies: number): number =>
  copies < 2 || (notify & notifySuccess) === 0
    ? notify
    : notify === notifySuccess
      ? notifyNever
      : notify - notifySuccess;
