import type { Outcome } from "../../protocol/outcome.ts";
import { findLayout } from "../../services/layout/find-layout.ts";
import { type Answer, type Operator, openQueue } from "../../services/operator-client/operator-client.ts";
import {
  type BlockedRow,
  parseBlockedRow,
  parseQueueRow,
  type QueueRow,
} from "../../services/operator-client/queue-row.ts";
import { type Command, complain, exitDone, exitNothing, readOptions, say, terminalColumns } from "./command.ts";
import { counted } from "./quantity.ts";
import { type QueueAction, type QueueRequest, queueActions, queueRequest } from "./queue-request.ts";
import { renderBlocked, renderMessage, renderQueue } from "./queue-table.ts";

const usage = `usage: postern queue ACTION [ID ...] [FILTER] [--json] [--root DIR]

  list      messages, one a line          show     messages with all their recipients
  count     how many there are            retry    have them tried now
  hold      stop trying them              release  try them again
  delete    remove them, without a bounce
  blocked   destinations left alone       open     have these tried now

Filters, all of which must match; without one, every message is meant (delete and hold then want --all):
  --id N[,N...]          --sender ADDRESS or @DOMAIN       --older-than 10m, 3h, 2d
  --destination DOMAIN   --recipient ADDRESS or @DOMAIN
  --limit N              of list and show: so many messages at most (100)

Exits 0, 1 when nothing matched, 100 for wrong use, 111 when the server is not running.`;

const options = {
  id: { type: "string", multiple: true },
  sender: { type: "string" },
  recipient: { type: "string" },
  destination: { type: "string" },
  "older-than": { type: "string" },
  limit: { type: "string" },
  all: { type: "boolean" },
  json: { type: "boolean" },
} as const;

const isAction = (word: string | undefined): word is QueueAction => queueActions.some((action) => action === word);

export const command: Command = {
  usage,
  async run(args) {
    const read = readOptions(args, options);
    if (read.kind !== "done") return complain(read, usage);
    const { values, positionals } = read.value;
    const [action = "list", ...ids] = positionals;
    if (!isAction(action)) {
      return complain({ kind: "permanent", status: "5.1", text: `queue: there is no action ${action}` }, usage);
    }
    const request = queueRequest(action, ids, values);
    if (request.kind !== "done") return complain(request);
    const queue = await openQueue(findLayout(values.root, process.env));
    if (queue.kind !== "done") return complain(queue);
    const ended = await (values.json ? asJson : asText)(queue.value, request.value);
    queue.value.close();
    if (ended.kind !== "done") return complain(ended);
    const isPlainList = (action === "list" || action === "blocked") && Object.keys(request.value.filter).length === 0;
    return ended.value > 0 || isPlainList || action === "count" ? exitDone : exitNothing;
  },
};

/** Passes rows to `onRow` until the end; gives how many the queue counted. */
async function ask(queue: Operator, request: QueueRequest, onRow: (row: unknown) => void): Promise<Outcome<number>> {
  queue.ask(request);
  for (;;) {
    const answer = await queue.next();
    if (answer.kind !== "done") return answer;
    if (answer.value.row === undefined) return { kind: "done", value: countOf(answer.value) };
    onRow(answer.value.row);
  }
}

function countOf({ end }: Answer): number {
  const count = typeof end === "object" && end !== null && "count" in end ? end.count : 0;
  return typeof count === "number" ? count : 0;
}

const asJson = (queue: Operator, request: QueueRequest): Promise<Outcome<number>> =>
  ask(queue, request, (row) => say(JSON.stringify(row)));

/** Lines are aligned with those they are shown with: so many at a time. */
const rowsTogether = 1_000;

async function asText(queue: Operator, request: QueueRequest): Promise<Outcome<number>> {
  if (request.command === "count") return await ask(queue, request, (row) => say(describeCount(row)));
  if (request.command === "blocked") return await showBlocked(queue, request);
  let rows: QueueRow[] = [];
  const print = (): void => {
    if (request.command === "list" && rows.length > 0) say(renderQueue(rows, Date.now(), terminalColumns()));
    if (request.command === "show") for (const row of rows) say(renderMessage(row, Date.now()));
    rows = [];
  };
  const ended = await ask(queue, request, (row) => {
    rows.push(parseQueueRow(row));
    if (rows.length === rowsTogether) print();
  });
  print();
  if (ended.kind === "done" && (request.command !== "show" || ended.value === 0)) say(summary(request, ended.value));
  return ended;
}

async function showBlocked(queue: Operator, request: QueueRequest): Promise<Outcome<number>> {
  const rows: BlockedRow[] = [];
  const ended = await ask(queue, request, (row) => rows.push(parseBlockedRow(row)));
  say(rows.length > 0 ? renderBlocked(rows, Date.now(), terminalColumns()) : "no destination is left alone");
  return ended;
}

function describeCount(row: unknown): string {
  const { messages, recipients, held, inFlight } = row as Readonly<Record<string, unknown>>;
  return `${counted(Number(messages), "message")}, ${counted(Number(recipients), "recipient")}, ${held} held, ${inFlight} in delivery`;
}

function summary({ command, filter, limit }: QueueRequest, count: number): string {
  if (count === 0 && command === "open") return "no such destination is left alone";
  if (count === 0) return Object.keys(filter).length === 0 ? "the queue is empty" : "no message matches";
  switch (command) {
    case "list":
    case "show":
      return count === limit
        ? `${counted(count, "message")}; there may be more: see --limit`
        : counted(count, "message");
    case "retry":
      return `${counted(count, "message")} to be tried now`;
    case "hold":
      return `${counted(count, "message")} held`;
    case "release":
      return `${counted(count, "message")} released`;
    case "delete":
      return `${counted(count, "message")} deleted`;
    case "open":
      return `${counted(count, "destination")} to be tried now`;
    case "blocked":
    case "count":
      return "";
    default:
      return command satisfies never;
  }
}
