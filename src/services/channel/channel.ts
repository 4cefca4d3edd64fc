import type { Duplex } from "node:stream";
import {
  createFrameReader,
  type Frame,
  headerOctets,
  maxPayloadOctets,
  writeHeader,
} from "../../protocol/wire/frame.ts";
import { free } from "../memory/free.ts";

/** One end of a socket pair between two programs. */
export interface Channel {
  /** Queues one encoded frame, copied; all frames of a loop turn leave together. Ignored once closed. */
  send(frame: Buffer): void;
  /** As `send`, of a frame that is all payload: no copy is made but the one that leaves. */
  pass(type: number, stream: number, payload: Uint8Array): void;
  /** Has what is queued leave now: who waits for it is to go on while we have much to do. */
  flush(): void;
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

/** What one system call takes. Any frame has room. */
const outOctets = 131_072;

/**
 * Speaks frames over `socket`, believing nothing that comes in. What leaves is gathered in one buffer, used over and over,
 * or in another while the kernel has not taken all of it; what came in is freed once its frames were seen.
 */
export function createChannel(socket: Duplex, events: ChannelEvents): Channel {
  const read = createFrameReader();
  let out: Buffer | undefined;
  let spare: Buffer | undefined;
  let gathered = 0;
  let flushing = false;
  let closed = false;

  const close = (why: string): void => {
    if (closed) return;
    closed = true;
    out = spare = undefined;
    gathered = 0;
    socket.destroy();
    events.onClose(why);
  };
  /** Behind what the peer has not read: no more memory than it must, nor for longer. */
  const writeLater = (octets: Buffer): void => {
    socket.write(octets, (error) => {
      if (!error) free(octets);
    });
  };
  const write = (): void => {
    if (!out || gathered === 0) return;
    const octets = out.subarray(0, gathered);
    gathered = 0;
    if (socket.writableLength > 0) {
      writeLater(Buffer.from(octets));
      return;
    }
    socket.write(octets);
    if (socket.writableLength > 0) [out, spare] = [spare, out]; // the kernel is to take the rest of it first
  };
  const flush = (): void => {
    flushing = false;
    write();
  };
  /** Where `octets` more are to be put, at `gathered`. */
  const roomFor = (octets: number): Buffer => {
    if (gathered + octets > outOctets) write();
    if (!flushing) {
      flushing = true;
      setImmediate(flush);
    }
    out ??= Buffer.allocUnsafeSlow(outOctets);
    return out;
  };

  socket.on("data", (chunk: Buffer) => {
    const frames = read(chunk);
    if (frames === "broken") return close("frame out of bounds");
    for (const frame of frames) {
      if (closed) return;
      if (events.onFrame(frame) === "broken") return close(`frame ${frame.type} out of place`);
    }
    free(chunk);
  });
  socket.on("error", (error) => close(error.message));
  socket.on("close", () => close("peer closed"));

  return {
    send(frame) {
      if (closed) return;
      roomFor(frame.length).set(frame, gathered);
      gathered += frame.length;
    },
    pass(type, stream, payload) {
      if (closed) return;
      if (payload.length > maxPayloadOctets) throw new RangeError(`frame of ${payload.length} octets`);
      const room = roomFor(headerOctets + payload.length);
      writeHeader(room, type, stream, payload.length, gathered);
      room.set(payload, gathered + headerOctets);
      gathered += headerOctets + payload.length;
    },
    flush: write,
    get pendingOctets() {
      return gathered + socket.writableLength;
    },
    close: () => close("closed"),
  };
}
