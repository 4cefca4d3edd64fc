import { done, type Outcome } from "../../protocol/outcome.ts";
import type { Layout } from "../../services/layout/layout.ts";
import { openQueue } from "../../services/operator-client/operator-client.ts";
import { parseQueueRow, type QueueRow } from "../../services/operator-client/queue-row.ts";

const mostShown = 1_000;

/** The queue as mailq shows it, at most a thousand messages of it. */
export async function listQueue(layout: Layout): Promise<Outcome<string>> {
  const rows = await ask(layout, { command: "list", filter: {}, limit: mostShown });
  if (rows.kind !== "done") return rows;
  if (rows.value.length === 0) return done("Mail queue is empty\n");
  return done(rows.value.map(describe).join("\n"));
}

/** Has everything tried now. */
export async function runQueue(layout: Layout): Promise<Outcome<string>> {
  const asked = await ask(layout, { command: "retry", filter: {} });
  return asked.kind === "done" ? done("") : asked;
}

function describe(row: QueueRow): string {
  const arrived = new Date(row.arrivedMs).toUTCString();
  const recipients = row.recipients.map(
    ({ forwardPath, lastReply }) => `    ${forwardPath}${lastReply && `\n      (${lastReply})`}\n`,
  );
  const more = row.recipientCount - row.recipients.length;
  return `${row.id}${row.held ? "!" : ""} ${row.octets} ${arrived} <${row.reversePath}>\n${recipients.join("")}${more > 0 ? `    and ${more} more\n` : ""}`;
}

async function ask(layout: Layout, request: object): Promise<Outcome<readonly QueueRow[]>> {
  const queue = await openQueue(layout);
  if (queue.kind !== "done") return queue;
  queue.value.ask(request);
  const rows: QueueRow[] = [];
  for (;;) {
    const answer = await queue.value.next();
    if (answer.kind === "done" && answer.value.row !== undefined) {
      rows.push(parseQueueRow(answer.value.row));
      continue;
    }
    queue.value.close();
    return answer.kind === "done" ? done(rows) : answer;
  }
}
