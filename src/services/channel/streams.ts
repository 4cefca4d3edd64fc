import type { Duplex } from "node:stream";
import type { Frame } from "../../protocol/wire/frame.ts";
import { type Channel, createChannel } from "./channel.ts";

/** One question to a peer, with a stream of its own. */
export interface Stream {
  /** Takes a frame of its stream. "broken" for what may not come now. */
  understand(frame: Frame): undefined | "broken";
  /** The peer went; the stream is closed. */
  lost(): void;
}

/** Drops a call that was asked for. May be called at any time. */
export type Forget = () => void;

/** Our side of a channel on which we ask. The peer may be gone for a while. */
export interface Streams {
  readonly isUp: boolean;
  /** A fresh connection; streams on the old one are lost. */
  attach(socket: Duplex): void;
  /** Calls once, when the peer is there again. */
  whenUp(call: () => void): Forget;
  /** Its number. Only while the peer is there. */
  open(stream: Stream): number;
  isOpen(number: number, stream: Stream): boolean;
  /** What still comes for it is dropped. False when it was not open. */
  close(number: number, stream: Stream): boolean;
  send(frame: Buffer): void;
  /** As of a channel. */
  pass(type: number, stream: number, payload: Uint8Array): void;
}

export function createStreams(): Streams {
  let channel: Channel | undefined;
  let streams = new Map<number, Stream>();
  let last = 0;
  const waiting = new Set<() => void>();
  const onFrame = (frame: Frame): undefined | "broken" => streams.get(frame.stream)?.understand(frame);
  const isOpen = (number: number, stream: Stream): boolean => streams.get(number) === stream;

  return {
    get isUp() {
      return channel !== undefined;
    },
    attach(socket) {
      channel?.close();
      const fresh = createChannel(socket, {
        onFrame,
        onClose() {
          if (channel === fresh) channel = undefined;
          const lost = streams;
          streams = new Map();
          for (const stream of lost.values()) stream.lost();
        },
      });
      channel = fresh;
      const calls = [...waiting];
      waiting.clear();
      for (const call of calls) call();
    },
    whenUp(call) {
      waiting.add(call);
      return () => waiting.delete(call);
    },
    open(stream) {
      do last = (last + 1) % 2 ** 32;
      while (streams.has(last));
      streams.set(last, stream);
      return last;
    },
    isOpen,
    close: (number, stream) => isOpen(number, stream) && streams.delete(number),
    send: (frame) => channel?.send(frame),
    pass: (type, stream, payload) => channel?.pass(type, stream, payload),
  };
}
