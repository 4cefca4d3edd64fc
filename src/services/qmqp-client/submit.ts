import { connect, type Socket } from "node:net";
import type { Relay } from "../../protocol/mx/route.ts";
import { decodeNetstring, netstringOctets } from "../../protocol/netstring.ts";
import { type Outcome, temporary } from "../../protocol/outcome.ts";
import { maxReplyOctets, parseQmqpReply } from "../../protocol/qmqp/reply.ts";
import { frameQmqpRequest } from "../../protocol/qmqp/request.ts";
import { displayPath } from "../layout/find-layout.ts";

export interface QmqpRequest {
  /** The message, in pieces, LF line ends. */
  readonly message: readonly Uint8Array[];
  readonly reversePath: string;
  readonly forwardPaths: readonly string[];
}

/** Longest silence of the server. It flushes a disk before it answers; it does not take minutes. */
const silenceMs = 300_000;
const connectMs = 10_000;

/**
 * Hands one message in at a Unix socket. Done, with the server's words, only when it has the message on disk; whatever
 * else happens is a failure, and all but a refusal by name a temporary one. Never rejects.
 */
export async function submitByQmqp(path: string, request: QmqpRequest): Promise<Outcome<string>> {
  const { outcome, trouble } = await converse(connect({ path }), path, request);
  switch (trouble) {
    case "ENOENT": // never bound, or removed at its end
    case "ECONNREFUSED": // left by a server that was killed
      return temporary("3.0", `postern is not running: nobody listens on ${displayPath(path)}`);
    default:
      return outcome;
  }
}

/**
 * Hands one message to the first of some servers that can be reached; its word is final, for it may have the message
 * though its answer is lost. As `submitByQmqp` otherwise. There must be a server.
 */
export async function submitToServers(servers: readonly Relay[], request: QmqpRequest): Promise<Outcome<string>> {
  let last: Outcome<string> = temporary("4.1", "there is no server in control/qmqpservers");
  for (const { host, port } of servers) {
    const name = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    const { outcome, connected } = await converse(connect({ host, port }), name, request);
    if (connected) return outcome;
    last = outcome;
  }
  return last;
}

interface Conversation {
  readonly outcome: Outcome<string>;
  readonly connected: boolean;
  /** The code of the error that ended it. */
  readonly trouble: string | undefined;
}

async function converse(socket: Socket, server: string, request: QmqpRequest): Promise<Conversation> {
  const octets = request.message.reduce((sum, piece) => sum + piece.length, 0);
  const { before, after } = frameQmqpRequest(octets, request.reversePath, request.forwardPaths);
  const conversation = listen(socket, server);
  for (const piece of [before, ...request.message, after]) socket.write(piece);
  const ended = await conversation;
  socket.destroy();
  return ended;
}

/** Resolves with the answer, or with the reason why there is none. */
async function listen(socket: Socket, server: string): Promise<Conversation> {
  const { promise, resolve } = Promise.withResolvers<Conversation>();
  let kept: Buffer = Buffer.alloc(0);
  let trouble: string | undefined;
  let connected = false;
  const end = (outcome: Outcome<string>): void => resolve({ outcome, connected, trouble });
  socket.on("connect", () => {
    connected = true;
    socket.setTimeout(silenceMs);
  });
  socket.on("data", (chunk: Buffer) => {
    kept = Buffer.concat([kept, chunk]);
    const reply = decodeNetstring(kept, maxReplyOctets);
    if (reply === "broken" || (reply === "more" && kept.length > netstringOctets(maxReplyOctets))) {
      end(temporary("3.0", `${server}: the server's answer is not QMQP`));
    } else if (reply !== "more") end(parseQmqpReply(reply.text));
  });
  socket.on("error", ({ code, message }: NodeJS.ErrnoException) => {
    trouble = code ?? message;
  });
  socket.on("close", () => {
    if (!connected) end(temporary("4.1", `cannot connect to ${server}: ${trouble}`));
    else if (trouble) end(temporary("4.2", `cannot hand the message in at ${server}: ${trouble}`));
    else end(temporary("4.2", `${server}: the server closed the connection without an answer`));
  });
  socket.setTimeout(connectMs, () => end(temporary("4.1", `${server}: the server does not answer`)));
  return promise;
}
