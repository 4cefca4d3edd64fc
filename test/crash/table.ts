/** Every way in and every way out: a new row here joins the killings and the power cuts. */
import { existsSync, readFileSync } from "node:fs";
import type { NetConnectOpts } from "node:net";
import { join } from "node:path";
import { frameQmqpRequest } from "../../src/protocol/qmqp/request.ts";
import { framePackage } from "../../src/protocol/qmtp/package.ts";
import { embeddedLayout, submissionSocket } from "../../src/services/layout/layout.ts";
import { freePort, mailboxOf, readMaildir, type Server } from "../support/server.ts";
import type { SmtpPeer } from "../support/smtp-peer.ts";
import { bodyOf, isDigestOf, isWhole, numberIn } from "./bodies.ts";
import type { Copy, Place } from "./ledger.ts";
import { byChunks, byCommand, byNetstrings, bySmtp, type Door, type Entrance, sender, withTls } from "./ways.ts";

export { textOf } from "./bodies.ts";

const submissionAt = ({ root }: Server): NetConnectOpts => ({ path: submissionSocket(embeddedLayout(root)) });

/** Where the server listens by a control file of one line. */
const listening =
  (file: string) =>
  (server: Server): NetConnectOpts => ({ host: "127.0.0.1", port: portOf(file, server) });

export const portOf = (file: string, { root }: Server): number =>
  Number(
    readFileSync(join(root, "control", file), "latin1")
      .trim()
      .split(":")
      .at(-1),
  );

type Account = readonly [address: string, password: string];

const smtpd: Door = { port: ({ smtpPort }) => smtpPort };
const submission: Door = { port: ({ submissionPort }) => submissionPort };

/** Whoever has it may submit, from anywhere. */
const submitter: Account = [sender, "a load of mail"];
const login = `AUTH PLAIN ${Buffer.from(["", ...submitter].join("\0")).toString("base64")}`;

/** Its mail is fetched over POP3. */
export const fetched: Account = ["fetched@localhost", "what came meanwhile"];
export const accounts: readonly Account[] = [submitter, fetched];

/** Messages from there are given to a filter. */
const filteredClient = "127.0.0.9";

/** What the entrances need in the folder of control files. `filter`: where the filter is to be. */
export const entranceControl = async (filter: string): Promise<Readonly<Record<string, string>>> => ({
  qmtplisten: `127.0.0.1:${await freePort()}\n`,
  lmtplisten: `127.0.0.1:${await freePort()}\n`,
  qmqplisten: `127.0.0.1:${await freePort()}\n`,
  qmqpclients: "127.0.0.1\n",
  pop3slisten: `127.0.0.1:${await freePort()}\n`,
  smtprules: `${filteredClient}:allow,QMAILQUEUE="${filter}"\n:allow\n`,
});

/** Passes each message on with a line of its own. */
export const filter = "#!/bin/sh\nexec 5<&1\n{ echo X-Filter: seen; cat; } | exec qmail-queue 1<&5\n";

export const entrances: readonly Entrance[] = [
  { name: "SMTP", share: 6, ...bySmtp(smtpd) },
  { name: "TLS", share: 4, ...bySmtp({ ...smtpd, before: withTls }) },
  { name: "filter", share: 1, ...bySmtp({ ...smtpd, from: filteredClient }) },
  { name: "BDAT", share: 4, ...byChunks({ ...smtpd, before: ["EHLO load"] }) },
  { name: "LMTP", share: 3, ...bySmtp({ port: (server) => portOf("lmtplisten", server) }) },
  { name: "submission", share: 6, ...bySmtp(submission) },
  { name: "authenticated submission", share: 3, ...bySmtp({ ...submission, before: [...withTls, login] }) },
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
  { name: "POP3", forwardPath: () => fetched[0] },
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

/** What arrived everywhere. `sinkMs`: when each message came to the sink; `taken`: what a client of POP3 has. */
export function readPlaces(
  server: { readonly root: string },
  sink: SmtpPeer,
  sinkMs: readonly number[],
  ran: string,
  taken: readonly string[] = [],
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
    once("the mail fetched over POP3", "POP3", [...taken.map((text) => copyOf(text)), ...maildir("fetched")]),
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
