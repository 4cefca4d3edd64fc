import { Buffer } from "node:buffer";
import { leastTicketOctets, maxTicketOctets } from "../../protocol/wire/mailbox.ts";

/** What `directory` has said of logins: who shows the ticket may open the mailbox of an address, once. */
export interface Tickets {
  /** "broken" when that is no ticket, or one that is there already. */
  grant(ticket: Uint8Array, address: string): undefined | "broken";
  /** The address it is for; `undefined` when nobody has granted it, or it is too late. */
  take(ticket: Uint8Array): string | undefined;
}

const validMs = 60_000;
/** The oldest gives way to one more. */
export const maxTickets = 1_000;

export function createTickets(nowMs: () => number): Tickets {
  const granted = new Map<string, { readonly address: string; readonly untilMs: number }>();
  const keyOf = (ticket: Uint8Array): string => Buffer.from(ticket).toString("latin1");
  return {
    grant(ticket, address) {
      const isTicket = ticket.length >= leastTicketOctets && ticket.length <= maxTicketOctets;
      if (!isTicket || granted.has(keyOf(ticket))) return "broken";
      const [oldest] = granted.keys();
      if (granted.size >= maxTickets && oldest !== undefined) granted.delete(oldest);
      granted.set(keyOf(ticket), { address, untilMs: nowMs() + validMs });
      return undefined;
    },
    take(ticket) {
      const found = granted.get(keyOf(ticket));
      granted.delete(keyOf(ticket));
      return found && nowMs() < found.untilMs ? found.address : undefined;
    },
  };
}
