import type { Status } from "../outcome.ts";
import { quoteReply, type Reply, replyStatus } from "./reply.ts";

/** How a recipient fared, in qmail's letters: K delivered, Z to be tried again, D failed. `status` is empty for K. */
export interface Fate {
  readonly letter: "K" | "Z" | "D";
  readonly status: Status | "";
  readonly text: string;
}

export const deferred = (status: Status, text: string): Fate => ({ letter: "Z", status, text });
export const failed = (status: Status, text: string): Fate => ({ letter: "D", status, text });

/** `text`, and what the peer said to deserve it. 5xx fails, everything else is tried again. */
export const refusedBy = (reply: Reply, text: string): Fate => ({
  letter: reply.code >= 500 ? "D" : "Z",
  status: reply.code >= 400 ? (replyStatus(reply) ?? "0.0") : "5.0",
  text: `${text}\nRemote host said: ${quoteReply(reply)}`,
});

export const acceptedBy = (peer: string, reply: Reply): Fate => ({
  letter: "K",
  status: "",
  text: `${peer} accepted message.\nRemote host said: ${quoteReply(reply)}`,
});

/** `dotSent`: the peer may have taken the message all the same. */
export const diedOn = (peer: string, why: string, dotSent: boolean): Fate =>
  deferred(
    "4.2",
    `Connected to ${peer} but connection died. ${dotSent ? "Possible duplicate! " : ""}(#4.4.2)\n${why}\n`,
  );
