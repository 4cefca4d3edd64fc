import { connect, type Socket } from "node:net";
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

/**
 * Hands one message in at a Unix socket. Done, with the server's words, only when it has the message on disk; whatever
 * else happens is a failure, and all but a refusal by name a temporary one. Never rejects.
 */
export async function submitByQmqp(path: string, request: QmqpRequest): Promise<Outcome<string>> {
  const octets = request.message.reduce((sum, piece) => sum + piece.length, 0);
  const { before, after } = frameQmqpRequest(octets, request.reversePath, request.forwardPaths);
  const socket = connect({ path });
  const reply = readReply(socket, path);
  for (const piece of [before, ...request.message, after]) socket.write(piece);
  const outcome = await reply;
  socket.destroy();
  return outcome;
}

async function readReply(socket: Socket, path: string): Promise<Outcome<string>> {
  const { promise, resolve } = Promise.withResolvers<Outcome<string>>();
  let kept: Buffer = Buffer.alloc(0);
  let trouble: NodeJS.ErrnoException | undefined;
  socket.on("data", (chunk: Buffer) => {
    kept = Buffer.concat([kept, chunk]);
    const reply = decodeNetstring(kept, maxReplyOctets);
    if (reply === "broken" || (reply === "more" && kept.length > netstringOctets(maxReplyOctets))) {
      resolve(temporary("3.0", `${path}: the server's answer is not QMQP`));
    } else if (reply !== "more") resolve(parseQmqpReply(reply.text));
  });
  socket.on("error", (error) => {
    trouble = error;
  });
  socket.on("close", () => resolve(temporary("3.0", whyLost(path, trouble))));
  socket.setTimeout(silenceMs, () => resolve(temporary("3.0", `${path}: the server does not answer`)));
  return promise;
}

function whyLost(path: string, trouble: NodeJS.ErrnoException | undefined): string {
  switch (trouble?.code) {
    case "ENOENT": // never bound, or removed at its end
    case "ECONNREFUSED": // left by a server that was killed
      return `postern is not running: nobody listens on ${displayPath(path)}`;
    case undefined:
      return `${path}: the server closed the connection without an answer`;
    default:
      return `cannot hand the message in at ${path}: ${trouble?.code}`;
  }
}
