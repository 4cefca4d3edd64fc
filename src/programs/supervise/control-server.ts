import { chmodSync, existsSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { osReason } from "../../services/kernel/os-reason.ts";
import { peerCredentials } from "../../services/kernel/peer-credentials.ts";

/** What the operator may ask of supervise. A returned object is the answer. */
export interface ControlCommands {
  status(): unknown;
  /** What to know of it, in words. */
  reload(): Outcome<readonly string[]>;
  stop(): void;
  /** The connection, with nothing read ahead, is the receiver's from now on. */
  queue(socket: Socket, uid: number): Outcome<void>;
}

const maxRequestOctets = 65_536;
const requestTimeoutMs = 10_000;
const maxConnections = 32;

/** Serves one JSON line a connection at `path`, which nobody but our own user may open. */
export async function serveControl(path: string, commands: ControlCommands): Promise<Outcome<Server>> {
  if (existsSync(path)) rmSync(path); // left by a supervise that was killed: ours is the lock
  const server = createServer((socket) => readRequest(socket, commands));
  server.maxConnections = maxConnections;
  const { promise, resolve } = Promise.withResolvers<Outcome<Server>>();
  server.once("error", (error) => {
    resolve(temporary("3.0", `cannot listen on ${path}: ${osReason(error)}`));
  });
  server.listen(path, () => {
    chmodSync(path, 0o600);
    resolve(done(server));
  });
  return await promise;
}

function readRequest(socket: Socket, commands: ControlCommands): void {
  let text = "";
  const onData = (chunk: Buffer): void => {
    text += chunk.toString("latin1");
    const end = text.indexOf("\n");
    if (end < 0 && text.length <= maxRequestOctets) return;
    socket.pause();
    socket.off("data", onData);
    socket.setTimeout(0);
    const value = end === text.length - 1 ? answerTo(socket, commandOf(text), commands) : { error: "not one line" };
    if (value !== undefined) socket.end(`${JSON.stringify(value)}\n`);
  };
  socket.on("error", () => socket.destroy());
  socket.setTimeout(requestTimeoutMs, () => socket.destroy());
  socket.on("data", onData);
}

/** Undefined where the connection stays open. */
function answerTo(socket: Socket, command: unknown, commands: ControlCommands): unknown {
  switch (command) {
    case "status":
      return commands.status();
    case "reload": {
      const reloaded = commands.reload();
      return reloaded.kind === "done" ? { ok: true, notes: reloaded.value } : resultOf(reloaded);
    }
    case "stop":
      socket.write(`${JSON.stringify({ ok: true })}\n`);
      socket.resume(); // until we are gone: the end of the connection tells the operator
      commands.stop();
      return undefined;
    case "queue": {
      handleOf(socket).readStop(); // else what comes for `queue` while the socket is on its way would be read here
      const handed = commands.queue(socket, uidOf(socket));
      return handed.kind === "done" ? undefined : resultOf(handed);
    }
    default:
      return { error: "no such command" };
  }
}

const resultOf = (outcome: Outcome<void>): unknown =>
  outcome.kind === "done" ? { ok: true } : { error: outcome.text };

function commandOf(line: string): unknown {
  try {
    const request: unknown = JSON.parse(line);
    return typeof request === "object" && request !== null && "command" in request ? request.command : undefined;
  } catch {
    return undefined;
  }
}

/** Only root and our own user get this far; unknown counts as nobody. */
function uidOf(socket: Socket): number {
  const credentials = peerCredentials(handleOf(socket).fd);
  return credentials.kind === "done" ? credentials.value.uid : 65_534;
}

/** What Node keeps to itself: the descriptor, and the way to really stop reading (`pause` takes one more chunk). */
const handleOf = (socket: Socket): { readonly fd: number; readStop(): void } =>
  (socket as unknown as { readonly _handle: { readonly fd: number; readStop(): void } })._handle;
