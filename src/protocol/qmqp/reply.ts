import { encodeNetstring } from "../netstring.ts";
import { done, enhancedCode, type Outcome, permanent, type Status, temporary } from "../outcome.ts";

/** No reply is longer; a longer one was not sent by a QMQP server. */
export const maxReplyOctets = 10_000;

/** The answer to a request: K, Z or D, text, and the code of a failure at its end, in qmail's form. */
export function encodeQmqpReply(outcome: Outcome<string>): Buffer {
  if (outcome.kind === "done") return encodeNetstring(`K${outcome.value}`);
  const letter = outcome.kind === "temporary" ? "Z" : "D";
  return encodeNetstring(`${letter}${outcome.text.slice(0, maxReplyOctets - 100)} (#${enhancedCode(outcome)})`);
}

/** What the text of a reply means. The code comes out of the text again; an answer nobody knows is temporary. */
export function parseQmqpReply(text: string): Outcome<string> {
  const rest = text.slice(1);
  if (text.startsWith("K")) return done(rest);
  const code = / \(#[45]\.([0-9]{1,3}\.[0-9]{1,3})\)$/.exec(rest);
  const status = (code?.[1] ?? "3.0") as Status;
  const reason = code ? rest.slice(0, code.index) : rest;
  if (text.startsWith("D")) return permanent(status, reason);
  if (text.startsWith("Z")) return temporary(status, reason);
  return temporary("3.0", "the server gave an answer that is not QMQP");
}
