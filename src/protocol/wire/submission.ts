import { defineFrame } from "./layout.ts";

/**
 * From a receiving program (smtpd, qmqpd...) to `queue`: one stream a message.
 *
 *   open, body*, recipients* and options in any order, commit   ->  stored | refused
 *   open, ..., abandon                                  ->  nothing, and nothing is kept
 *   after a refused that comes early, the sender stops; what was on its way is ignored
 *
 * `hook` stands in for `queue` where a program of the site's looks at messages: it hears of the client after `open`, and
 * the queue id in its `stored` is the pid of that program.
 *
 * The sender may have `submissionWindowOctets` of body unacknowledged on a stream; `credit` gives more.
 */
export const submissionWindowOctets = 131_072;

export const open = defineFrame(1, {});
/** The message as stored: LF line ends, no dot stuffing, trace header first. Raw payload, no layout. */
export const bodyType = 2;
/** Some of the forward-paths; repeated until all are given. */
export const recipients = defineFrame(3, { forwardPaths: "texts" });
/**
 * `bodyKind`: 0 as it came, 1 BODY=8BITMIME was declared (RFC 6152), 2 BODY=BINARYMIME (RFC 3030): such a body is stored
 * octet for octet, its lines ending in whatever they end in, and leaves by BDAT or for a local mailbox only.
 * `uid`: who submitted it, for the log: the local caller, or the receiving program's own for mail from the network.
 */
export const commit = defineFrame(4, { reversePath: "text", bodyKind: "u8", uid: "u32" });
export const abandon = defineFrame(5, {});

/** The message is on disk: only now may anyone say 250. */
export const stored = defineFrame(6, { queueId: "u53" });
/** `permanent` 0 or 1; `status` "3.1", `text` for people. Nothing of the message is kept. */
export const refused = defineFrame(7, { permanent: "u8", status: "text", text: "text" });
/** So many more octets of body may be sent on this stream. */
export const submissionCredit = defineFrame(8, { octets: "u32" });
/** To `hook` only: where the message comes from. What such a client is allowed `hook` knows for itself. */
export const client = defineFrame(9, { address: "text", port: "u32", localAddress: "text", localPort: "u32" });

/**
 * As `recipients`, with what RFC 3461 §4 has a client ask for each: `notify` is the sum of what is to be reported, 0 for
 * what was not said; `originalRecipients` are ORCPT's "addr-type;xtext" as they came, "" for none. The lists are parallel.
 */
export const dsnRecipients = defineFrame(10, { forwardPaths: "texts", notify: "numbers", originalRecipients: "texts" });
export const notifyNever = 8;
export const notifySuccess = 1;
export const notifyFailure = 2;
export const notifyDelay = 4;
/**
 * What a client asked for the whole message, where it asked for anything; once. `envelopeId` is ENVID's xtext as it came,
 * `ret` 0 not said, 1 FULL, 2 HDRS (RFC 3461); `flags` a sum of those below; `priority` MT-PRIORITY's -9 to 9 plus 9 (RFC
 * 6710), 9 if not said; nothing is delivered before `holdUntilMs` (RFC 4865), 0 for at once.
 */
export const options = defineFrame(11, {
  envelopeId: "text",
  ret: "u8",
  flags: "u8",
  priority: "u8",
  holdUntilMs: "u53",
});
export type Options = NonNullable<ReturnType<typeof options.decode>>;
/** Nothing was asked. */
export const noOptions: Options = { envelopeId: "", ret: 0, flags: 0, priority: 9, holdUntilMs: 0 };
/** Addresses or header need SMTPUTF8 (RFC 6531). */
export const flagUtf8 = 1;
/** Only over verified TLS, to servers that promise the same (RFC 8689). */
export const flagRequireTls = 2;
/** Rather without TLS than not at all, whatever the destination publishes (RFC 8689 §5); never with the one above. */
export const flagTlsOptional = 4;
export const allFlags = flagUtf8 | flagRequireTls | flagTlsOptional;
