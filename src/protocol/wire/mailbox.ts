import { maxPayloadOctets } from "./frame.ts";
import { defineFrame } from "./layout.ts";

/**
 * From `pop3d` to `local`, and through it to the `pop3session` of a mailbox: one stream a session.
 *
 *   openSession, input*                ->  opened, (output* and inputCredit*), sessionEnded
 *                                          refusedSession, instead of opened
 *   outputCredit* for the output; at any time: closeSession, the client is gone  ->  nothing
 *
 * `local` takes the ticket out of openSession before the session sees it. Input is what the client says, octet for
 * octet, output what it is to read.
 */

/**
 * The sender of input may have so much unacknowledged; `inputCredit` gives more. As much for output. Credit is given when
 * half of the window is used: for each reply it would wake three programs.
 */
export const inputWindowOctets = 4_096;
export const outputWindowOctets = 262_144;
/** What was begun within the window may be sent whole: a frame more at most. */
export const mostOutputOctets = outputWindowOctets + maxPayloadOctets;

/** `logins` is what CAPA says of logins, in both states. */
export const openSession = defineFrame(96, { ticket: "octets", logins: "texts" });
/** Raw payload, no layout. */
export const inputType = 97;
export const outputCredit = defineFrame(98, { octets: "u32" });
export const closeSession = defineFrame(99, {});

export const opened = defineFrame(104, {});
/** Not now; `text` is for the client. */
export const refusedSession = defineFrame(105, { text: "text" });
/** Raw payload, no layout. */
export const outputType = 106;
export const inputCredit = defineFrame(107, { octets: "u32" });
/** After the last output: the client said QUIT, and what it deleted is gone. */
export const sessionEnded = defineFrame(108, { retrieved: "u32", deleted: "u32" });

/** A ticket is as long as this at least: nobody guesses one. */
export const leastTicketOctets = 16;
export const maxTicketOctets = 64;
