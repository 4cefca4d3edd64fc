/** What the client asked for a recipient: who is told of what (RFC 3461), as the sum on the wire. */
export interface QueueDsn {
  readonly notify: number;
  readonly originalRecipient: string;
}

/** What it asked for the message: fields as in `options` of protocol/wire/submission.ts. */
export interface QueueOptions {
  readonly envelopeId: string;
  readonly ret: number;
  readonly flags: number;
  readonly priority: number;
  readonly holdUntilMs: number;
}

/** One recipient of a message in the queue, as the operator sees it. */
export interface QueueRecipient {
  readonly number: number;
  readonly forwardPath: string;
  readonly channel: string;
  readonly destination: string;
  readonly state: string;
  readonly attempts: number;
  /** 0 when no attempt is planned. */
  readonly nextAttemptMs: number;
  readonly lastReply: string;
  readonly dsn?: QueueDsn;
}

/** One message in the queue. A listing names at most a few of its recipients. */
export interface QueueRow {
  readonly id: number;
  readonly arrivedMs: number;
  readonly octets: number;
  readonly reversePath: string;
  readonly uid: number;
  readonly held: boolean;
  readonly options?: QueueOptions;
  readonly recipientCount: number;
  readonly recipients: readonly QueueRecipient[];
}

/** A destination that is left alone. */
export interface BlockedRow {
  readonly channel: string;
  readonly destination: string;
  readonly untilMs: number;
}

export function parseBlockedRow(row: unknown): BlockedRow {
  const fields = fieldsOf(row);
  return {
    channel: textOf(fields.channel),
    destination: textOf(fields.destination),
    untilMs: numberOf(fields.untilMs),
  };
}

/** A row of the queue's answer. What is missing or of another kind becomes 0, false or empty: it is only shown. */
export function parseQueueRow(row: unknown): QueueRow {
  const fields = fieldsOf(row);
  const recipients = Array.isArray(fields.recipients) ? fields.recipients : [];
  return {
    id: numberOf(fields.id),
    arrivedMs: numberOf(fields.arrivedMs),
    octets: numberOf(fields.octets),
    reversePath: textOf(fields.reversePath),
    uid: numberOf(fields.uid),
    held: fields.held === true,
    ...(fields.options !== undefined && { options: parseOptions(fields.options) }),
    recipientCount: numberOf(fields.recipientCount),
    recipients: recipients.map(parseRecipient),
  };
}

function parseRecipient(recipient: unknown): QueueRecipient {
  const fields = fieldsOf(recipient);
  return {
    number: numberOf(fields.number),
    forwardPath: textOf(fields.forwardPath),
    channel: textOf(fields.channel),
    destination: textOf(fields.destination),
    state: textOf(fields.state),
    attempts: numberOf(fields.attempts),
    nextAttemptMs: numberOf(fields.nextAttemptMs),
    lastReply: textOf(fields.lastReply),
    ...(fields.dsn !== undefined && { dsn: parseDsn(fields.dsn) }),
  };
}

function parseDsn(dsn: unknown): QueueDsn {
  const fields = fieldsOf(dsn);
  return { notify: numberOf(fields.notify), originalRecipient: textOf(fields.originalRecipient) };
}

function parseOptions(options: unknown): QueueOptions {
  const fields = fieldsOf(options);
  return {
    envelopeId: textOf(fields.envelopeId),
    ret: numberOf(fields.ret),
    flags: numberOf(fields.flags),
    priority: numberOf(fields.priority),
    holdUntilMs: numberOf(fields.holdUntilMs),
  };
}

const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
const numberOf = (value: unknown): number => (typeof value === "number" && Number.isFinite(value) ? value : 0);

/** A text for a terminal: octets that could move its cursor are shown as `?`. */
const textOf = (value: unknown): string =>
  typeof value === "string"
    ? value
        .replace(/\s+/g, " ")
        .replace(/[^ -~]/g, "?")
        .trim()
    : "";
