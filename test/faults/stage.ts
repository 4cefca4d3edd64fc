/** A server with every exit, a ledger of what was sent to it, and the count at the end. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isLong } from "../crash/bodies.ts";
import { drain, makeMaildir } from "../crash/crashes.ts";
import { programs } from "../crash/kills.ts";
import { judge, type Place, type Sent } from "../crash/ledger.ts";
import { exitFiles, exits, readPlaces, textOf } from "../crash/table.ts";
import { sender } from "../crash/ways.ts";
import { mailboxOf, type Server, type ServerOptions, startServer, temporaryFolder, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";
import { startSmtpPeer } from "../support/smtp-peer.ts";

export interface Stage extends AsyncDisposable {
  readonly server: Server;
  /** What the sink says to recipients: yes, or later. */
  sink: "well" | "busy";
  /** How often the sink was asked to take something for this recipient. */
  attempts(recipient: string): number;
  /** Sends one message there by SMTP and returns the reply; "" when there was none. */
  send(exit: string, size?: "small" | "large"): Promise<string>;
  /** The number of the last message. */
  readonly last: number;
  /** What arrived so far, everywhere. */
  places(): readonly Place[];
  /** Whether the last message is where it should be. */
  hasArrived(): boolean;
  /** From now on: a delivery to others, or to a user's program, may be repeated. */
  disturbed(): void;
  pids(program: string): readonly number[];
  /** Resolves when new mail is taken again. */
  serving(): Promise<void>;
  /** Resolves, with the promises broken since it was last asked, when nothing is left in the queue. */
  count(): Promise<readonly string[]>;
}

export async function startStage(options: ServerOptions = {}): Promise<Stage> {
  const notes = temporaryFolder();
  const ran = join(notes, "ran");
  const sinkMs: number[] = [];
  const sink = await startSmtpPeer({
    script: {
      RCPT(line) {
        if (stage.sink === "busy") return "451 4.2.1 not now";
        return line.includes("@refuse.test") ? "550 5.1.1 nobody here" : undefined;
      },
      end: () => void sinkMs.push(Date.now()),
    },
  });
  const server = await startServer({
    ...options,
    control: { smtproutes: `:127.0.0.1:${sink.port}\n`, ...options.control },
    files: { ...exitFiles(ran), ...options.files },
  }).catch(async (error: unknown) => {
    await sink[Symbol.asyncDispose]();
    throw error;
  });
  await until("all programs", () => server.output().includes("Ctrl-C"), 30_000);
  makeMaildir(mailboxOf(server, "several"));
  const sent = new Map<number, Sent>();
  const disturbedMs: number[] = [];
  const told = new Set<string>();
  let last = 0;
  const places = () => readPlaces(server, sink, sinkMs, ran);

  const send = async (exitName: string, size: "small" | "large" = "small"): Promise<string> => {
    const exit = exits.find(({ name }) => name === exitName);
    if (!exit) throw new Error(`no exit ${exitName}`);
    do last++;
    while (isLong(last) !== (size === "large"));
    const n = last;
    const atMs = Date.now();
    sent.set(n, { exit: exitName, atMs, answer: "doubtful" });
    const reply = await sendOne(server.smtpPort, exit.forwardPath(n), textOf(n));
    const isDoubtful = reply === "" || reply.includes("may have the message");
    const refused = reply === noConnection || !isDoubtful;
    const answer = reply.startsWith("250") ? "acknowledged" : refused ? "refused" : "doubtful";
    sent.set(n, { exit: exitName, atMs, answer });
    return reply;
  };
  const stage: Stage = {
    server,
    sink: "well",
    attempts: (recipient) => sink.lines.filter((line) => line.startsWith(`RCPT TO:<${recipient}>`)).length,
    send,
    get last() {
      return last;
    },
    places,
    hasArrived() {
      const { exit } = sent.get(last) ?? {};
      const wanted = places().filter((place) => place.exit === exit);
      return wanted.every(({ copies }) => copies.some(({ n }) => n === last));
    },
    disturbed: () => void disturbedMs.push(Date.now()),
    pids: (program) => programs(server).flatMap(({ name, pid }) => (name === program ? [pid] : [])),
    serving: () => until("service again", async () => (await send("Maildir")).startsWith("250")),
    async count() {
      await drain(server);
      const wrong = judge(sent, places(), disturbedMs).wrong.filter((line) => !told.has(line));
      for (const line of wrong) told.add(line);
      return wrong;
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await sink[Symbol.asyncDispose]();
      rmSync(notes, { recursive: true, force: true });
    },
  };
  return stage;
}

export const logOf = ({ server }: Stage): string => readFileSync(join(server.root, "log/current"), "latin1");

const noConnection = "421 no connection";

async function sendOne(port: number, forwardPath: string, text: string): Promise<string> {
  const client = await SmtpClient.open(port).catch(() => undefined);
  if (!client) return noConnection;
  const reply = await client.message(sender, [forwardPath], text);
  client.close();
  return reply;
}
