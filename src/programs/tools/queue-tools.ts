import { formatDate } from "../../protocol/date.ts";
import { done, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { findLayout } from "../../services/layout/find-layout.ts";
import { openQueue } from "../../services/operator-client/operator-client.ts";
import { parseQueueRow, type QueueRow } from "../../services/operator-client/queue-row.ts";
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

/** qmail-tcpto and qmail-tcpok have nothing to work on: they say so, and fail. */
export const tcpto = (call: Call): number =>
  fail(
    call,
    permanent("5.1", "remote keeps its table of silent hosts in memory and shows it to nobody; see postern log"),
  );
export const tcpok = (call: Call): number =>
  fail(call, permanent("5.1", "remote keeps its table of silent hosts in memory; it is empty after a restart"));

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
