import { formatDate } from "../../protocol/date.ts";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { findLayout } from "../../services/layout/find-layout.ts";
import { askOnce, openQueue } from "../../services/operator-client/operator-client.ts";
import { parseBlockedRow, parseQueueRow, type QueueRow } from "../../services/operator-client/queue-row.ts";
import { type Call, exitDone, fail } from "./tool.ts";

/** qmail-qread: every message in the queue, and who is still to get it. */
export async function qread(call: Call): Promise<number> {
  const asked = await askQueue(call, { command: "show" }, (row) =>
    process.stdout.write(describeMessage(parseQueueRow(row)), "latin1"),
  );
  return asked.kind === "done" ? exitDone : fail(call, asked);
}

/** A message as qmail-qread shows it. Recipients that are done with are gone from our queue, and not shown. */
export function describeMessage({ arrivedMs, id, octets, reversePath, recipients }: QueueRow): string {
  const date = formatDate(arrivedMs).replace("-0000", "GMT");
  const lines = recipients.map(({ channel, forwardPath }) => `\t${channel}\t${shown(forwardPath)}\n`);
  return `${date}  #${id}  ${octets}  <${shown(reversePath)}> \n${lines.join("")}`;
}

/** Nothing that moves a terminal's cursor. */
const shown = (address: string): string => address.replace(/[^!-~]/g, "_");

/** qmail-qstat: how many messages there are. None waits to be looked at: that is done as they come. */
export async function qstat(call: Call): Promise<number> {
  let messages: number | undefined;
  const asked = await askQueue(call, { command: "count" }, (row) => {
    messages = countOf(row);
  });
  if (asked.kind !== "done") return fail(call, asked);
  if (messages === undefined) return fail(call, temporary("3.0", "the server's answer has no number of messages"));
  process.stdout.write(`messages in queue: ${messages}\nmessages in queue but not yet preprocessed: 0\n`);
  return exitDone;
}

const countOf = (row: unknown): number | undefined =>
  typeof row === "object" && row !== null && "messages" in row && typeof row.messages === "number"
    ? row.messages
    : undefined;

/** qmail-tcpto: destinations that could not be reached, and are left alone for a while. By name: ours are not addresses. */
export async function tcpto(call: Call): Promise<number> {
  const asked = await askQueue(call, { command: "blocked" }, (row) => {
    const { channel, destination, untilMs } = parseBlockedRow(row);
    const seconds = Math.max(0, Math.ceil((untilMs - Date.now()) / 1_000));
    if (channel === "remote") process.stdout.write(`${destination} left alone for ${seconds} seconds more\n`);
  });
  return asked.kind === "done" ? exitDone : fail(call, asked);
}

/** qmail-tcpok: all of them are tried again; `remote` forgets the addresses that kept it waiting, as at any reload. */
export async function tcpok(call: Call): Promise<number> {
  const opened = await askQueue(call, { command: "open" }, () => {});
  if (opened.kind !== "done") return fail(call, opened);
  const reloaded = await askOnce(findLayout(undefined, call.environment), "reload");
  return reloaded.kind === "done" ? exitDone : fail(call, reloaded);
}

/** Asks the queue, and shows each row of the answer to `onRow`. */
async function askQueue(call: Call, request: object, onRow: (row: unknown) => void): Promise<Outcome<void>> {
  const queue = await openQueue(findLayout(undefined, call.environment));
  if (queue.kind !== "done") return queue;
  queue.value.ask(request);
  for (;;) {
    const answer = await queue.value.next();
    if (answer.kind === "done" && answer.value.row !== undefined) {
      onRow(answer.value.row);
      continue;
    }
    queue.value.close();
    return answer.kind === "done" ? done(undefined) : answer;
  }
}
