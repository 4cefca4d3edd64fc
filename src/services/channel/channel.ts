import type { Duplex } from "node:stream";
import { createFrameReader, type Frame } from "../../protocol/wire/frame.ts";
import { createReclaimer } from "../memory/reclaim.ts";

/** One end of a socket pair between two programs. */
export interface Channel {
  /** Queues one encoded frame; all frames of a loop turn leave in one write. Ignored once closed. */
  send(frame: Buffer): void;
  /** Octets queued and not yet taken by the kernel. Senders of bodies hold back by credit, not by this. */
  readonly pendingOctets: number;
  /** Ends the channel at once; `onClose` is called. */
  close(): void;
}

export interface ChannelEvents {
  /** Called for each frame in order. Return "broken" when it breaks the protocol: the channel is closed. */
  readonly onFrame: (frame: Frame) => undefined | "broken";
  /** Called exactly once: the peer is gone, sent nonsense, or we closed. */
  readonly onClose: (why: string) => void;
}

/** Smaller frames are copied together, so that a turn costs one system call; larger ones are worth one of their own. */
const maxCopiedOctets = 16_384;

/** Speaks frames over `socket`, believing nothing that comes in. */
export function createChannel(socket: Duplex, events: ChannelEvents): Channel {
  const read = createFrameReader();
  const reclaim = createReclaimer();
  let queued: Buffer[] = [];
  let queuedOctets = 0;
  let flushing = false;
  let closed = false;

  const close = (why: string): void => {
    if (closed) return;
    closed = true;
    queued = [];
    socket.destroy();
    events.onClose(why);
  };
  const flush = (): void => {
    flushing = false;
    if (closed || queued.length === 0) return;
    const frames = queued;
    queued = [];
    queuedOctets = 0;
    const [only, another] = frames;
    if (only && !another) return void socket.write(only);
    socket.cork();
    for (const piece of inPieces(frames)) socket.write(piece);
    socket.uncork();
  };

  socket.on("data", (chunk: Buffer) => {
    reclaim(chunk.length);
    const frames = read(chunk);
    if (frames === "broken") return close("frame out of bounds");
    for (const frame of frames) {
      if (closed) return;
      if (events.onFrame(frame) === "broken") return close(`frame ${frame.type} out of place`);
    }
  });
  socket.on("error", (error) => close(error.message));
  socket.on("close", () => close("peer closed"));

  return {
    send(frame) {
      if (closed) return;
      reclaim(frame.length);
      queued.push(frame);
      queuedOctets += frame.length;
      if (flushing) return;
      flushing = true;
      setImmediate(flush);
    },
    get pendingOctets() {
      return queuedOctets + socket.writableLength;
    },
    close: () => close("closed"),
  };
}

function* inPieces(frames: readonly Buffer[]): Generator<Buffer> {
  let from = 0;
  for (const [at, frame] of frames.entries()) {
    if (frame.length <= maxCopiedOctets) continue;
    if (at > from) yield Buffer.concat(frames.slice(from, at));
    yield frame;
    from = at + 1;
  }
  if (from < frames.length) yield Buffer.concat(frames.slice(from));
}
