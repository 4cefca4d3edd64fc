/** How a client of each kind sends one message, and what it then knows of it. */
import { connect, type NetConnectOpts } from "node:net";
import { join } from "node:path";
import { run } from "../support/commands.ts";
import { type Server, tree } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";
import type { Answer } from "./ledger.ts";

export const sender = "load@localhost";

export interface Entrance {
  readonly name: string;
  /** How many of all messages take it, in relation to the others. */
  readonly share: number;
  send(server: Server, forwardPath: string, text: string): Promise<Answer>;
  /** Sends so much of the message, and never its end. */
  breakOff?(server: Server, forwardPath: string, text: string, share: number): Promise<Answer>;
}

/** Behind a filter an exit code of qmail-queue is all there is, and has no word for doubt. */
const mayHaveIt = /may have the message|temporarily rejected message|communication with mail server failed/;

/** Where a client of SMTP connects, and what it says before its message. */
export interface Door {
  readonly port: (server: Server) => number;
  /** The client's own address. */
  readonly from?: string;
  readonly before?: readonly string[];
}

export const withTls = ["EHLO load", "STARTTLS", "EHLO load"] as const;

/** Sends the message, and its end if it is to have one. */
const data = (door: Door, server: Server, forwardPath: string, body: string, end: string): Promise<Answer> =>
  conversation(door, server, [`RCPT TO:<${forwardPath}>`, "DATA"], async (client) => {
    client.send(body);
    await client.drained();
    if (end === "") return "unfinished";
    client.send(end);
    return verdict(await client.reply());
  });

/** "" for the reply: the connection ended before it. */
const verdict = (reply: string): Answer => {
  if (reply.startsWith("250")) return "acknowledged";
  return reply === "" || mayHaveIt.test(reply) ? "doubtful" : "refused";
};

async function conversation(
  { port, from, before = [] }: Door,
  server: Server,
  commands: readonly string[],
  message: (client: SmtpClient) => Promise<Answer>,
): Promise<Answer> {
  const client = await SmtpClient.open(port(server), "127.0.0.1", from).catch(() => undefined);
  if (!client) return "unreachable";
  try {
    for (const command of [...before, `MAIL FROM:<${sender}>`, ...commands]) {
      if (!/^[23]/.test(await client.command(command))) return "refused";
      if (command === "STARTTLS" && !(await client.secure())) return "refused";
    }
    return await message(client);
  } finally {
    client.close();
  }
}

const chunkOctets = 9_000;

/** Sends `octets` of the message by BDAT, in chunks that end within lines; all of it, or an end is never announced. */
const chunks = (door: Door, server: Server, forwardPath: string, wire: string, octets: number): Promise<Answer> =>
  conversation(door, server, [`RCPT TO:<${forwardPath}>`], async (client) => {
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

type Way = Pick<Entrance, "send" | "breakOff">;

export const byChunks = (door: Door): Way => ({
  send: (server, forwardPath, text) => chunks(door, server, forwardPath, crlf(text), crlf(text).length),
  breakOff(server, forwardPath, text, share) {
    const wire = crlf(text);
    return chunks(door, server, forwardPath, wire, Math.floor(share * wire.length));
  },
});

const crlf = (text: string): string => text.replace(/\n/g, "\r\n");

const onTheWire = (text: string): string =>
  `${text.replace(/^\./gm, "..").replace(/\n/g, "\r\n")}${text.endsWith("\n") ? "" : "\r\n"}`;

export const bySmtp = (door: Door): Way => ({
  send: (server, forwardPath, text) => data(door, server, forwardPath, onTheWire(text), ".\r\n"),
  breakOff(server, forwardPath, text, share) {
    const wire = `${onTheWire(text)}.\r`;
    return data(door, server, forwardPath, wire.slice(0, Math.floor(share * wire.length)), "");
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
  return letter === undefined || mayHaveIt.test(answer) ? "doubtful" : "refused";
}

type Framing = (
  octets: number,
  reversePath: string,
  forwardPaths: readonly string[],
) => { before: Buffer; after: Buffer };

/** A protocol of the QMQP family: its socket, and what goes before and after the message. */
export const byNetstrings = (where: (server: Server) => NetConnectOpts, frame: Framing): Way => {
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

export const byCommand =
  (command: string, ...options: string[]) =>
  async (server: Server, forwardPath: string, text: string) => {
    const args = [command, "--root", server.root, ...options, forwardPath];
    const { code, stderr } = await run(join(tree, "bin/postern"), args, Buffer.from(text, "latin1"));
    if (code === 0) return "acknowledged" as const;
    // The connection came to an end, and nobody knows when.
    return /without an answer|cannot hand|may have/.test(stderr) ? ("doubtful" as const) : ("refused" as const);
  };
