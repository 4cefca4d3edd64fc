/** What was declared of a body: "7BIT" nothing at all; BINARYMIME is to arrive octet for octet (RFC 6152, 3030). */
export type BodyType = "7BIT" | "8BITMIME" | "BINARYMIME";

/**
 * One message for one peer. Addresses as the queue has them: not quoted, printable, `""` the null reverse-path; one with
 * VERP has several forward-paths only where `offersXverp`.
 */
export interface Transaction {
  readonly reversePath: string;
  readonly forwardPaths: readonly string[];
  readonly octets: number;
  readonly bodyType: BodyType;
  /** What the client that gave us the message asked for beyond its delivery. */
  readonly asked?: Asked;
}

/** The lists are parallel to the forward-paths; all texts are printable ASCII without blanks. */
export interface Asked {
  /** ENVID as it came, "" for none (RFC 3461 §4.4). */
  readonly envelopeId: string;
  readonly ret: "" | "FULL" | "HDRS";
  /** NOTIFY's words and ORCPT's value for each recipient, "" for none. */
  readonly notify: readonly string[];
  readonly originalRecipients: readonly string[];
  /** Addresses or header need SMTPUTF8 (RFC 6531). */
  readonly utf8: boolean;
  /** RFC 8689. */
  readonly requireTls: boolean;
  /** RFC 8689 §5: rather without TLS than not at all. */
  readonly tlsOptional: boolean;
  /** -9 to 9 (RFC 6710). */
  readonly priority: number;
}

/** Only the first `count` recipients of it. */
export function firstRecipients(transaction: Transaction, count: number): Transaction {
  const { forwardPaths, asked } = transaction;
  if (forwardPaths.length <= count) return transaction;
  const first = <Value>(list: readonly Value[]) => list.slice(0, count);
  return {
    ...transaction,
    forwardPaths: first(forwardPaths),
    ...(asked && {
      asked: { ...asked, notify: first(asked.notify), originalRecipients: first(asked.originalRecipients) },
    }),
  };
}
