/** Every way in and every way out: a new row here joins the killings and the power cuts. */
import { existsSync, readFileSync } from "node:fs";
import { connect, type NetConnectOpts } from "node:net";
import { join } from "node:path";
import { frameQmqpRequest } from "../../src/protocol/qmqp/request.ts";
import { framePackage } from "../../src/protocol/qmtp/package.ts";
import { embeddedLayout, submissionSocket } from "../../src/services/layout/layout.ts";
import { run } from "../support/commands.ts";
import { mailboxOf, readMaildir, type Server, tree } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";
import type { SmtpPeer } from "../support/smtp-peer.ts";
import { bodyOf, isDigestOf, isWhole, numberIn } from "./bodies.ts";
import type { Answer, Copy, Place } from "./ledger.ts";

export { textOf } from "./bodies.ts";

export const sender = "load@localhost";

export interface Entrance {
  readonly name: string;
  /** How many of all messages take it, in relation to the others. */
  readonly share: number;
  send(server: Server, forwardPath: string, text: string): Promise<Answer>;
  /** Sends so much of the message, and never its end. */
  breakOff?(server: Server, forwardPath: string, text: string, share: number): Promise<Answer>;
}

const mayHaveIt = "may have the message";

/** Sends the message, and its end if it is to have one; "" for the reply when the connection ended before. */
const smtp = (port: number, forwardPath: string, body: string, end: string): Promise<Answer> =>
  conversation(port, [`MAIL FROM:<${sender}>`, `RCPT TO:<${forwardPath}>`, "DATA"], async (client) => {
    client.send(body);
    await client.drained();
    if (end === "") return "unfinished";
    client.send(end);
    return verdict(await client.reply());
  });

const verdict = (reply: string): Answer => {
  if (reply.startsWith("250")) return "acknowledged";
  return reply === "" || reply.includes(mayHaveIt) ? "doubtful" : "refused";
};

async function conversation(
  port: number,
  commands: readonly string[],
  message: (client: SmtpClient) => Promise<Answer>,
): Promise<Answer> {
  const client = await SmtpClient.open(port).catch(() => undefined);
  if (!client) return "unreachable";
  try {
    for (const command of commands) if (!/^[23]/.test(await client.command(command))) return "refused";
    return await message(client);
  } finally {
    client.close();
  }
}

const chunkOctets = 9_000;

/** Sends `octets` of the message by BDAT, in chunks that end within lines; all of it, or an end is never announced. */
const chunks = (port: number, forwardPath: string, wire: string, octets: number): Promise<Answer> =>
  conversation(port, ["EHLO load", `MAIL FROM:<${sender}>`, `RCPT TO:<${forwardPath}>`], async (client) => {
    for (let at = 0; ; at += chunkOctets) {
      const chunk = wire.slice(at, at + chunkOctets);
      const isLast = at + chunkOctets >= wire.length;
      client.send(`BDAT ${chunk.length}${isLast ? " LAST" : ""}\r\n${chunk.slice(0, Math.max(0, octets - at))}`);
      await client.drained();
      if (octets < at + chunk.length) return "unfinished";
      const reply = await client.reply();
      if (isLast) return verdict(reply);
      if (!reply.startsWith("250")) return "refused";
    }
  });

const byChunks: Pick<Entrance, "send" | "breakOff"> = {
  send: ({ smtpPort }, forwardPath, text) => chunks(smtpPort, forwardPath, crlf(text), crlf(text).length),
  breakOff({ smtpPort }, forwardPath, text, share) {
    const wire = crlf(text);
    return chunks(smtpPort, forwardPath, wire, Math.floor(share * wire.length));
  },
};

const crlf = (text: string): string => text.replace(/\n/g, "\r\n");

const onTheWire = (text: string): string =>
  `${text.replace(/^\./gm, "..").replace(/\n/g, "\r\n")}${text.endsWith("\n") ? "" : "\r\n"}`;

const bySmtp = (port: (server: Server) => number): Pick<Entrance, "send" | "breakOff"> => ({
  send: (server, forwardPath, text) => smtp(port(server), forwardPath, onTheWire(text), ".\r\n"),
  breakOff(server, forwardPath, text, share) {
    const wire = `${onTheWire(text)}.\r`;
    return smtp(port(server), forwardPath, wire.slice(0, Math.floor(share * wire.length)), "");
  },
});

/** The answer to a request in netstrings: K, Z or D and a text. Undefined: the connection ended before it. */
async function netstrings(where: NetConnectOpts, request: readonly Uint8Array[], ends: boolean): Promise<Answer> {
  const socket = connect(where);
  const closed = Promise.withResolvers<void>();
  let [isConnected, answer] = [false, ""];
  socket.on("connect", () => (isConnected = true));
  socket.on("data", (chunk: Buffer) => {
    answer += chunk.toString("latin1");
    if (answer.endsWith(",")) socket.end(); // QMTP would wait for the next package
  });
  socket.on("error", () => {}); // "close" follows
  socket.on("close", () => closed.resolve());
  for (const piece of request.slice(0, -1)) socket.write(piece);
  socket.write(request.at(-1) ?? "", () => ends || socket.destroy()); // the kernel has taken it
  await closed.promise;
  if (!isConnected) return "unreachable";
  if (!ends) return "unfinished";
  const [, letter] = /^\d+:([KZD]).*,$/s.exec(answer) ?? [];
  if (letter === "K") return "acknowledged";
  return letter === undefined || answer.includes(mayHaveIt) ? "doubtful" : "refused";
}

type Framing = (
  octets: number,
  reversePath: string,
  forwardPaths: readonly string[],
) => { before: Buffer; after: Buffer };

/** A protocol of the QMQP family: its socket, and what goes before and after the message. */
const byNetstrings = (
  where: (server: Server) => NetConnectOpts,
  frame: Framing,
): Pick<Entrance, "send" | "breakOff"> => {
  const request = (forwardPath: string, text: string): Buffer[] => {
    const octets = Buffer.from(text, "latin1");
    const { before, after } = frame(octets.length, sender, [forwardPath]);
    return [before, octets, after];
  };
  return {
    send: (server, forwardPath, text) => netstrings(where(server), request(forwardPath, text), true),
    breakOff(server, forwardPath, text, share) {
      const octets = Buffer.concat(request(forwardPath, text));
      const part = octets.subarray(0, Math.floor(share * (octets.length - 1)));
      return netstrings(where(server), [part], false);
    },
  };
};

const byCommand =
  (command: string, ...options: string[]) =>
  async (server: Server, forwardPath: string, text: string) => {
    const args = [command, "--root", server.root, ...options, forwardPath];
    const { code, stderr } = await run(join(tree, "bin/postern"), args, Buffer.from(text, "latin1"));
    if (code === 0) return "acknowledged" as const;
    // The connection came to an end, and nobody knows when.
    return /without an answer|cannot hand|may have/.test(stderr) ? ("doubtful" as const) : ("refused" as const);
  };

const submissionAt = ({ root }: Server): NetConnectOpts => ({ path: submissionSocket(embeddedLayout(root)) });

/** Where the server listens by a control file of one line. */
const listening =
  (file: string) =>
  (server: Server): NetConnectOpts => ({ host: "127.0.0.1", port: portOf(file, server) });

const portOf = (file: string, { root }: Server): number =>
  Number(
    readFileSync(join(root, "control", file), "latin1")
      .trim()
      .split(":")
      .at(-1),
  );

export const entrances: readonly Entrance[] = [
  { name: "SMTP", share: 6, ...bySmtp((server) => server.smtpPort) },
  { name: "BDAT", share: 4, ...byChunks },
  { name: "LMTP", share: 3, ...bySmtp((server) => portOf("lmtplisten", server)) },
  { name: "submission", share: 6, ...bySmtp((server) => server.submissionPort) },
  { name: "QMQP", share: 6, ...byNetstrings(submissionAt, frameQmqpRequest) },
  { name: "QMQP over TCP", share: 3, ...byNetstrings(listening("qmqplisten"), frameQmqpRequest) },
  { name: "QMTP", share: 6, ...byNetstrings(listening("qmtplisten"), framePackage) },
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

/** Notes when it ran, for which message, and the digest of the body it was given. */
const program = (ran: string): string =>
  `n=$(sed -nu '/^$/q;s/^X-Load: //p') && [ "$n" ] && d=$(sha256sum) && echo "$(date +%s%3N) $n $d" >>${ran}`;

/** What the exits need in the server's folder. `ran`: the file where programs note what they were given. */
export const exitFiles = (ran: string): Readonly<Record<string, string>> => ({
  "mail/localhost/mbox/.qmail": "./mbox\n",
  "mail/localhost/program/.qmail": `|${program(ran)}\n`,
  "mail/localhost/forward/.qmail": "&target0@localhost\n&target1@localhost\n",
  "mail/localhost/several/.qmail": "./Maildir/\n./mbox\n&target2@localhost\n./Maildir/\n",
});

function copyOf(text: string, atMs?: number): Copy {
  const n = numberIn(text);
  return { n, isWhole: isWhole(n, text), ...(atMs !== undefined && { atMs }) };
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
        ({ body, forwardPaths }, at) =>
          forwardPaths.length > 0 ? [copyOf(body.replaceAll("\r\n", "\n").replace(/^\./gm, ""), sinkMs[at])] : [], // without a recipient: the end of a pipelined DATA
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
  return entries.map((entry) => {
    if (!entry.endsWith("\n\n")) return { n: numberIn(entry), isWhole: false };
    return copyOf(entry.slice(0, -1).replace(/^>(>*From )/gm, "$1"));
  });
}

/** Of a large message a bounce has only the header. */
function bounced(text: string): Copy {
  const n = numberIn(text);
  const body = bodyOf(n);
  return { n, isWhole: body.length > maxBouncedOctets || text.includes(body) };
}
const maxBouncedOctets = 50_000;

const readRan = (path: string): Copy[] =>
  existsSync(path)
    ? readFileSync(path, "latin1")
        .trim()
        .split("\n")
        .map((line) => {
          const [atMs, n, digest] = line.split(" ");
          return { n: Number(n), isWhole: isDigestOf(Number(n), digest), atMs: Number(atMs) };
        })
    : [];
