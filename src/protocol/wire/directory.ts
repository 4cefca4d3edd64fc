import { defineFrame } from "./layout.ts";

/**
 * What `directory` is asked: one stream a question, by `smtpd`, `pop3d` and `authd`; it asks `local` in its turn, who
 * alone can look where mail would go.
 *
 *   askRecipient                                         ->  recipientAnswer
 *   askSender                                            ->  senderAnswer
 *   saslBegin, then saslResponse after each              ->  saslChallenge*, saslEnd
 *   at any time in a SASL exchange: saslCancel           ->  nothing
 *   from `smtpd` alone: askRelay                         ->  relayAnswer
 *   from `authd` alone: askPlace                         ->  placeAnswer
 *
 *   from `directory` to `local`: askMailbox              ->  mailboxAnswer
 *                                forgetMailbox, nobody waits for it any more  ->  nothing
 *                                askPlace                ->  placeAnswer
 *                                askPassword             ->  passwordAnswer
 *                                grant                   ->  nothing
 *
 * Addresses and passwords are octets (latin1 text).
 */

/** May this recipient exist? The address is one that `smtpd` holds for ours. */
export const askRecipient = defineFrame(64, { address: "text" });
/** `answer`: one of the five below. */
export const recipientAnswer = defineFrame(65, { answer: "u8" });
export const cannotTell = 0;
export const exists = 1;
export const doesNotExist = 2;
/** Its mailbox is full: to be tried again, or refused for good, as the site has it. */
export const overQuotaForNow = 3;
export const overQuotaForGood = 4;

/** May this account send as this address? */
export const askSender = defineFrame(66, { account: "text", address: "text" });
/** `answer`: 0 cannot tell, 1 yes, 2 no. */
export const senderAnswer = defineFrame(67, { answer: "u8" });

/** May this client send to anywhere, for somebody has read mail from its address (control/popbeforesmtp)? */
export const askRelay = defineFrame(80, { address: "text" });
/** `answer`: 0 cannot tell, 1 yes, 2 no. */
export const relayAnswer = defineFrame(81, { answer: "u8" });

/**
 * A login (RFC 4422). `service` is "smtp", "pop3" or "imap", `address` the client's. `initial` is the initial response, which
 * may be empty; `hasInitial` 0 where there was none. `binding` is the channel binding of `bindingType` ("tls-exporter",
 * RFC 9266), "" without TLS. USER and PASS of POP3 come as mechanism PLAIN, APOP as APOP: the challenge, a space, and the argument.
 */
export const saslBegin = defineFrame(68, {
  service: "text",
  mechanism: "text",
  address: "text",
  hasInitial: "u8",
  initial: "octets",
  bindingType: "text",
  binding: "octets",
});
export const saslResponse = defineFrame(69, { octets: "octets" });
export const saslChallenge = defineFrame(70, { octets: "octets" });
/**
 * `letter`: K logged in as `account`, Z cannot tell now, D refused; `text` is for the client and the same for every
 * refusal. `additional` is what success brings with it (SCRAM's server signature), `ticket` opens the mailbox of a
 * "pop3" login once, at `local`.
 */
export const saslEnd = defineFrame(71, {
  letter: "text",
  account: "text",
  text: "text",
  additional: "octets",
  ticket: "octets",
});
/** How a login ended, as `saslEnd` says it. */
export interface LoginEnd {
  readonly letter: "K" | "Z" | "D";
  readonly account: string;
  readonly text: string;
  readonly additional: Buffer;
  readonly ticket: Buffer;
}
export const saslCancel = defineFrame(72, {});

/** Would a message to this address find a mailbox, and room in it? As a delivery would look for it. */
export const askMailbox = defineFrame(73, { address: "text" });
export const mailboxAnswer = defineFrame(74, { answer: "u8" });
export const forgetMailbox = defineFrame(82, {});
/** Who shows this ticket within a minute may open the mailbox of that address, once. Whose that is `local` decides. */
export const grant = defineFrame(75, { ticket: "octets", address: "text" });

/** What does the program of control/checkpassword say? */
export const askPassword = defineFrame(76, { account: "text", password: "octets" });
/** `letter`: K it is right, D it is wrong, Z nobody can tell now. */
export const passwordAnswer = defineFrame(77, { letter: "text" });
/** `local` is asked about so many passwords at once; more break the channel. */
export const maxPasswordQuestions = 8;

/** Where does the mail of this address lie, and whose is it? Only for who has a mailbox: no alias, no extension. */
export const askPlace = defineFrame(78, { address: "text" });
/**
 * `answer`: exists, doesNotExist or cannotTell; the others count with the first. `folder` is the Maildir, which may not be
 * there yet, `quota` in the form of `maildirsize`, "" for none.
 */
export const placeAnswer = defineFrame(79, {
  answer: "u8",
  uid: "u32",
  gid: "u32",
  home: "text",
  folder: "text",
  quota: "text",
});
/** `local` is asked about so many places at once; more break the channel. */
export const maxPlaceQuestions = 8;
/** A path in it is at most as long. */
export const maxPathOctets = 4_096;

/** Longest octet string of a SASL exchange; a longer one breaks the channel. */
export const maxSaslOctets = 12_288;
/** `local` is asked about so many mailboxes at once; more break the channel. */
export const maxMailboxQuestions = 64;
