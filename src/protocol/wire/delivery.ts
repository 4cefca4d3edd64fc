import { defineFrame } from "./layout.ts";

/**
 * From `queue` to `remote`, and through `local` to `deliver`: one stream a delivery.
 *
 *   deliver, deliverOptions?, body*, bodyEnd   ->  credit*, (forward* or relayed for that report), report (one for each recipient), ended
 *   after ended of a K or D:  settled, when queue has written down the result for good
 *
 * The receiver answers `ended` exactly once, at any time, also before it has read the body; queue then stops sending.
 * The sender may have `deliveryWindowOctets` of body unacknowledged on a stream; `credit` gives more.
 * When the channel breaks, every stream without `ended` counts as deferred.
 */
export const deliveryWindowOctets = 131_072;

/**
 * `name` is the same for each attempt of this message and different for every other message of any queue: what is
 * made from it and the recipient's number is found again after a crash. `attempt` counts from 1, by the most tried
 * recipient. `numbers` and `forwardPaths` belong together, one domain in one `deliver` (just one recipient to `local`).
 * `reversePath` has its VERP expanded when there is one recipient; for several the receiver sees to it. `octets` is the length of the body that follows.
 */
export const deliver = defineFrame(32, {
  queueId: "u53",
  name: "text",
  arrivedMs: "u53",
  octets: "u53",
  bodyKind: "u8",
  attempt: "u32",
  reversePath: "text",
  numbers: "numbers",
  forwardPaths: "texts",
});
export const deliveryBodyType = 33;
export const bodyEnd = defineFrame(34, {});
/** The result is committed: marks kept against a repetition may go. */
export const settled = defineFrame(35, {});
/**
 * After `deliver`, where the client asked for anything beyond the envelope: fields as in `options` of submission.ts, the
 * lists parallel to the numbers of `deliver`.
 */
export const deliverOptions = defineFrame(36, {
  envelopeId: "text",
  ret: "u8",
  flags: "u8",
  priority: "u8",
  notify: "numbers",
  originalRecipients: "texts",
});

export const deliveryCredit = defineFrame(40, { octets: "u32" });
/**
 * To be queued in the very transaction that takes note of the report: `prefix` goes before the delivered message.
 * Repeated with the same `reversePath` and empty `prefix` when the recipients do not fit one frame.
 */
export const forward = defineFrame(41, { reversePath: "text", prefix: "octets", forwardPaths: "texts" });
/** `letter`: K delivered, Z to be tried again, D failed for good. `status` is empty for K, else "2.1" (RFC 3463). */
export const report = defineFrame(42, { number: "u32", letter: "text", status: "text", text: "text" });
/**
 * `reached`: 0 nothing learnt of the destination, 1 it answered, 2 it could not be reached; 3 the delivery broke off
 * and nothing is known, as when the channel breaks: its reports do not count, and it is done again at once; 4 it
 * answered, and expands VERP itself. Of several recipients some may have no report, if others have one: the server takes
 * fewer at once, or but one with VERP. They were not tried, and are delivered at once.
 */
export const ended = defineFrame(43, { reached: "u8" });
export const brokeOff = 3;
export const expandsVerp = 4;
/**
 * Before a report with K: the message went to the server `peer`, which sees to what was asked for (RFC 3461) itself when
 * `takesDsn` is 1; else success is "delivered" where `isFinal` is 1, since that is where the mail is to stay, else "relayed".
 */
export const relayed = defineFrame(44, { peer: "text", isFinal: "u8", takesDsn: "u8" });

/** Longer report texts are cut, at both ends of the channel. */
export const maxReportOctets = 10_000;
