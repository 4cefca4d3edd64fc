import { asksUtf8, binaryMime } from "../../protocol/smtp/parameters.ts";
import { receivedLine, type Trace } from "../../protocol/smtp/trace.ts";
import type { Conversation } from "./conversation.ts";

/** The Received line of the message under way, with the line ends it is stored with. */
export function traceOf(talk: Conversation): string {
  const { session, terms, rules, tls, around } = talk;
  const isSecret = rules.access.account !== undefined && terms.submission.hidesClient;
  const line = receivedLine({
    helo: isSecret ? "" : session.client.name,
    address: isSecret ? "" : terms.address,
    protocol: protocolOf(talk),
    by: terms.me,
    nowMs: around.nowMs(),
    ...(tls && { tls }),
  });
  const isBinary = "transaction" in session && session.transaction.bodyKind === binaryMime;
  return isBinary ? line.replaceAll("\n", "\r\n") : line;
}

/** As RFC 3848 names it. */
function protocolOf({ session, rules, tls }: Conversation): Trace["protocol"] {
  if (!session.client.extended) return "SMTP";
  const isUtf8 = "transaction" in session && asksUtf8(session.transaction.options);
  const protocol = rules.isLmtp ? (isUtf8 ? "UTF8LMTP" : "LMTP") : isUtf8 ? "UTF8SMTP" : "ESMTP";
  return `${protocol}${tls ? "S" : ""}${rules.access.account === undefined ? "" : "A"}`;
}
