/** What is known of a domain whose mailboxes are folders. */
export interface MailboxDomain {
  /** A mailbox is made by its first message. */
  readonly create: boolean;
}

/** Reads the lines of control/mailboxdomains, `domain` or `domain:create`. */
export function mailboxDomains(lines: readonly string[]): ReadonlyMap<string, MailboxDomain> {
  return new Map(
    lines.map((line) => {
      const [domain = "", option] = line.toLowerCase().split(":");
      return [domain, { create: option === "create" }];
    }),
  );
}
