import { formatDate } from "../../protocol/date.ts";

/** The trace line of a message that the queue makes itself (RFC 5321 §4.4 in qmail's form): hop counts see it. */
export const receivedLine = (queueId: number, invoked: "by local" | "for bounce", nowMs: number): Buffer =>
  Buffer.from(`Received: (postern ${queueId} invoked ${invoked}); ${formatDate(nowMs)}\n`, "latin1");
