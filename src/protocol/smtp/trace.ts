import { formatDate } from "../date.ts";

/** Who handed a message over, as far as it told and we saw. */
export interface Trace {
  /** The name in HELO or EHLO; "" when there was none, as in QMTP and QMQP. */
  readonly helo: string;
  /** "ESMTP" after EHLO, "LMTP" after LHLO, with S for TLS, A for AUTH (RFC 3848); with SMTPUTF8 as RFC 6531 §4.3 has it. */
  readonly protocol: "SMTP" | `${"ESMTP" | "LMTP" | "UTF8SMTP" | "UTF8LMTP"}${"" | "S"}${"" | "A"}` | "QMTP" | "QMQP";
  /** Of TLS, if there was any: "TLSv1.3" and the cipher, in our library's words. */
  readonly tls?: { readonly protocol: string; readonly cipher: string };
  /** The client's address as the system writes it; "" keeps it secret. */
  readonly address: string;
  /** This server's name. */
  readonly by: string;
  readonly nowMs: number;
}

const maxNameOctets = 255;

/**
 * The trace field we put on top (RFC 5321 §4.4), in qmail's form, with its line ends. Names are not looked up: the host
 * is "unknown". TLS is told as RFC 8314 §7.4 has it. Whatever is no letter, digit or one of `.@%+/=:-[]` becomes "?".
 */
export function receivedLine({ helo, protocol, tls, address, by, nowMs }: Trace): string {
  const told = helo === "" || helo.toLowerCase() === "unknown" ? "" : ` (HELO ${safe(helo)})`;
  const secured = tls ? ` (${tls.protocol})\n  tls ${tls.cipher}` : "";
  const way = `with ${protocol}${secured}`;
  const where = address === "" ? "" : ` (${safe(address)})`;
  return `Received: from unknown${told}${where}\n  by ${safe(by)} ${way}; ${formatDate(nowMs)}\n`;
}

const safe = (text: string): string => text.slice(0, maxNameOctets).replace(/[^A-Za-z0-9.@%+/=:[\]-]/g, "?");
