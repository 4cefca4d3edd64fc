/** Every way in and every way out: a new row here joins the killings and the power cuts. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../support/commands.ts";
import { mailboxOf, readMaildir, type Server, tree } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";
import type { SmtpPeer } from "../support/smtp-peer.ts";
import type { Answer, Copy, Place } from "./ledger.ts";

export const sender = "load@localhost";

export interface Entrance {
  readonly name: string;
  /** How many of all messages take it, in relation to the others. */
  readonly share: number;
  send(server: Server, forwardPath: string, text: string): Promise<Answer>;
}

const bySmtp = (port: (server: Server) => number) => async (server: Server, forwardPath: string, text: string) => {
  const client = await SmtpClient.open(port(server)).catch(() => undefined);
  if (!client) return "refused" as const;
  const reply = await client.message(sender, [forwardPath], text);
  client.close();
  if (reply.startsWith("250")) return "acknowledged" as const;
  return reply === "" || reply.includes("may have the message") ? ("doubtful" as const) : ("refused" as const);
};

const byCommand =
  (command: string, ...options: string[]) =>
  async (server: Server, forwardPath: string, text: string) => {
    const args = [command, "--root", server.root, ...options, forwardPath];
    const { code, stderr } = await run(join(tree, "bin/postern"), args, text);
    if (code === 0) return "acknowledged" as const;
    // The connection came to an end, and nobody knows when.
    return /without an answer|cannot hand|may have/.test(stderr) ? ("doubtful" as const) : ("refused" as const);
  };

export const entrances: readonly Entrance[] = [
  { name: "SMTP", share: 8, send: bySmtp((server) => server.smtpPort) },
  { name: "submission", share: 8, send: bySmtp((server) => server.submissionPort) },
  { name: "inject", share: 1, send: byCommand("inject", `-f${sender}`) },
  { name: "sendmail", share: 1, send: byCommand("sendmail", "-f", sender) },
];

export interface Exit {
  readonly name: string;
  readonly forwardPath: (n: number) => string;
}

const mailboxes = Array.from({ length: 8 }, (_, n) => `u${n}`);

export const exits: readonly Exit[] = [
  { name: "Maildir", forwardPath: (n) => `${mailboxes[n % mailboxes.length]}@localhost` },
  { name: "mbox", forwardPath: () => "mbox@localhost" },
  { name: "program", forwardPath: () => "program@localhost" },
  { name: "forward", forwardPath: () => "forward@localhost" },
  { name: "several", forwardPath: () => "several@localhost" },
  { name: "remote", forwardPath: (n) => `n${n}@sink.test` },
  { name: "bounce", forwardPath: () => "nobody@refuse.test" },
];

/** What the exits need in the server's folder. `ran`: the file where programs note what they were given. */
export const exitFiles = (ran: string): Readonly<Record<string, string>> => ({
  "mail/localhost/mbox/.qmail": "./mbox\n",
  "mail/localhost/program/.qmail": `|n=$(sed -n 's/^X-Load: //p') && [ "$n" ] && echo "$(date +%s%3N) $n" >>${ran}\n`,
  "mail/localhost/forward/.qmail": "&target0@localhost\n&target1@localhost\n",
  "mail/localhost/several/.qmail": "./Maildir/\n./mbox\n&target2@localhost\n./Maildir/\n",
});

/** Most are small; one in forty is larger than what a program keeps in memory of it. */
const linesOf = (n: number): number => (n % 40 === 0 ? 12_000 : 60);
const bodyOf = (n: number): string => `${`message ${n} 0123456789abcdef\n`.repeat(linesOf(n))}end of ${n}\n`;
export const textOf = (n: number): string => `Subject: load\nX-Load: ${n}\n\n${bodyOf(n)}`;

const numberIn = (text: string): number => Number(/^X-Load: (\d+)\r?$/m.exec(text)?.[1]);
function copyOf(text: string, atMs?: number): Copy {
  const n = numberIn(text);
  return { n, isWhole: text.replaceAll("\r\n", "\n").endsWith(bodyOf(n)), ...(atMs !== undefined && { atMs }) };
}

/** What arrived everywhere. `sinkMs`: when each message came to the sink. */
export function readPlaces(
  server: { readonly root: string },
  sink: SmtpPeer,
  sinkMs: readonly number[],
  ran: string,
): Place[] {
  const maildir = (localPart: string): Copy[] =>
    readMaildir(mailboxOf(server, localPart)).map(({ text }) => copyOf(text));
  const once = (name: string, exit: string, copies: readonly Copy[]): Place => ({
    name,
    exit,
    promise: "once",
    copies,
  });
  const several = maildir("several");
  return [
    once("the Maildirs", "Maildir", mailboxes.flatMap(maildir)),
    once("the mbox", "mbox", readMbox(join(mailboxOf(server, "mbox"), "../mbox"))),
    once("the first target", "forward", maildir("target0")),
    once("the second target", "forward", maildir("target1")),
    once("the first line's Maildir", "several", everyOther(several, 0)),
    once("the last line's Maildir", "several", everyOther(several, 1)),
    once("the second line's mbox", "several", readMbox(join(mailboxOf(server, "several"), "../mbox"))),
    once("the third line's target", "several", maildir("target2")),
    once(
      "the bounces",
      "bounce",
      readMaildir(mailboxOf(server, "load")).map(({ text }) => bounced(text)),
    ),
    {
      name: "the sink",
      exit: "remote",
      promise: "at least once",
      copies: sink.received.flatMap(
        ({ body, forwardPaths }, at) => (forwardPaths.length > 0 ? [copyOf(body, sinkMs[at])] : []), // without a recipient: the end of a pipelined DATA
      ),
    },
    { name: "the program", exit: "program", promise: "at least once", copies: readRan(ran) },
  ];
}

/** Two lines name one Maildir: of each message's copies the odd or the even ones. */
function everyOther(copies: readonly Copy[], which: 0 | 1): Copy[] {
  const seen = new Map<number, number>();
  return copies.filter(({ n }) => {
    const count = seen.get(n) ?? 0;
    seen.set(n, count + 1);
    return count % 2 === which;
  });
}

function readMbox(path: string): Copy[] {
  if (!existsSync(path)) return [];
  const entries = readFileSync(path, "latin1").split(/^(?=From )/m);
  return entries.map((entry) => copyOf(entry.endsWith("\n\n") ? entry.slice(0, -1) : `${entry}torn`));
}

/** Of a large message a bounce has only the header. */
function bounced(text: string): Copy {
  const n = numberIn(text);
  return { n, isWhole: linesOf(n) > 60 || text.includes(`end of ${n}\n`) };
}

const readRan = (path: string): Copy[] =>
  existsSync(path)
    ? readFileSync(path, "latin1")
        .trim()
        .split("\n")
        .map((line) => ({ n: Number(line.split(" ")[1]), isWhole: true, atMs: Number(line.split(" ")[0]) }))
    : [];
