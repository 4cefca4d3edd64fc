import type { BlockedRow, QueueRecipient, QueueRow } from "../../services/operator-client/queue-row.ts";
import { counted, formatDuration, formatOctets } from "./quantity.ts";
import { dsnWords, optionWords } from "./queue-wishes.ts";
import { type Column, renderTable } from "./table.ts";

const columns: readonly Column[] = [
  { title: "ID", align: "right" },
  { title: "AGE", align: "right" },
  { title: "SIZE", align: "right" },
  { title: "FROM", least: 12 },
  { title: "TO", least: 16 },
  { title: "STATE", least: 16 },
];

/** Messages, one a line. */
export function renderQueue(rows: readonly QueueRow[], nowMs: number, mostColumns: number): string {
  return renderTable(
    columns,
    rows.map((row) => [
      String(row.id),
      formatDuration(nowMs - row.arrivedMs),
      formatOctets(row.octets),
      row.reversePath === "" ? "<>" : row.reversePath,
      recipientsOf(row),
      row.held ? "held" : stateAndReply(row.recipients[0], nowMs),
    ]),
    mostColumns,
  );
}

/** Destinations that are left alone, one a line. */
export function renderBlocked(rows: readonly BlockedRow[], nowMs: number, mostColumns: number): string {
  return renderTable(
    [{ title: "DESTINATION", least: 16 }, { title: "CHANNEL" }, { title: "NEXT IN", align: "right" }],
    rows.map(({ destination, channel, untilMs }) => [destination, channel, formatDuration(untilMs - nowMs)]),
    mostColumns,
  );
}

function recipientsOf({ recipients, recipientCount }: QueueRow): string {
  const [first] = recipients;
  if (!first) return counted(recipientCount, "recipient");
  return recipientCount > 1 ? `${first.forwardPath} +${recipientCount - 1}` : first.forwardPath;
}

function stateAndReply(recipient: QueueRecipient | undefined, nowMs: number): string {
  if (!recipient) return "";
  return stateOf(recipient, nowMs) + (recipient.lastReply === "" ? "" : `: ${recipient.lastReply}`);
}

function stateOf({ state, attempts, nextAttemptMs }: QueueRecipient, nowMs: number): string {
  const words = [state];
  if (attempts > 0) words.push(counted(attempts, "attempt"));
  if (nextAttemptMs > 0 && state === "waiting") {
    words.push(nextAttemptMs > nowMs ? `next in ${formatDuration(nextAttemptMs - nowMs)}` : "due");
  }
  return words.join(", ");
}

/** One message with all of its recipients. */
export function renderMessage(row: QueueRow, nowMs: number): string {
  const head = [
    `Message ${row.id}${row.held ? " (held)" : ""}`,
    `  from      <${row.reversePath}>`,
    `  arrived   ${new Date(row.arrivedMs).toISOString()}, ${formatDuration(nowMs - row.arrivedMs)} ago${submitter(row.uid)}`,
    `  size      ${row.octets} octets`,
    ...(row.options ? [`  asked     ${optionWords(row.options, nowMs)}`] : []),
    `  to        ${counted(row.recipientCount, "recipient")}`,
  ];
  const recipients = row.recipients.flatMap((recipient) => [
    `  ${String(recipient.number).padStart(6)}  ${recipient.forwardPath}`,
    `          ${recipient.channel} ${recipient.destination}, ${stateOf(recipient, nowMs)}`,
    ...(recipient.dsn ? [`          ${dsnWords(recipient.dsn)}`] : []),
    ...(recipient.lastReply === "" ? [] : [`          ${recipient.lastReply}`]),
  ]);
  return [...head, ...recipients].join("\n");
}

/** Mail from the network has no user: its uid is all ones. */
const submitter = (uid: number): string => (uid === 0xffff_ffff ? "" : `, by user ${uid}`);
