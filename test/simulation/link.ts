import type { Queue } from "../../src/programs/queue/queue.ts";
import { encodeFrame, type Frame, headerOctets } from "../../src/protocol/wire/frame.ts";
import type { ChannelEvents } from "../../src/services/channel/channel.ts";
import type { Random } from "./random.ts";
import type { Life, Timeline } from "./timeline.ts";

/** The program at the other end. */
export interface PeerEnd {
  onFrame(frame: Frame): void;
  onClosed(): void;
}

/** Sees what passes at the moment the queue sends it, or is about to get it. */
export interface Spy {
  onSent(link: Link, frame: Frame): void;
  onHeard(link: Link, frame: Frame): void;
  onClosed(link: Link): void;
}

export interface Between {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly queue: Queue;
  readonly queueLife: Life;
  readonly spy: Spy;
}

const world: Life = { dead: false };

/** A channel between the queue and one program: in order, each way at its own pace, until it breaks. */
export class Link {
  readonly name: string;
  closed = false;
  peer: PeerEnd = { onFrame: () => {}, onClosed: () => {} };
  readonly #between: Between;
  #events: ChannelEvents | undefined;
  #toPeer: Frame[] = [];
  #toQueue: Frame[] = [];

  constructor(name: string, between: Between) {
    this.name = name;
    this.#between = between;
    between.queue.connect(name, (events) => {
      this.#events = events;
      return {
        send: (octets) => this.#fromQueue(octets),
        pass: (...frame) => this.#fromQueue(encodeFrame(...frame)),
        flush() {},
        pendingOctets: 0,
        close: () => this.#close(),
      };
    });
  }

  /** From the program to the queue. */
  send(...octets: readonly Buffer[]): void {
    if (this.closed) return;
    if (this.#toQueue.length === 0) this.#later(() => this.#deliverToQueue());
    for (const each of octets) this.#toQueue.push(frameOf(each));
  }

  /** A frame the queue never sent. */
  forge(octets: Buffer): void {
    this.#between.spy.onSent(this, frameOf(octets));
    this.#toPeer.push(frameOf(octets));
  }

  /** The program is gone: what it had written may still arrive. */
  break(): void {
    if (this.closed) return;
    const rest = this.#between.random.chance(0.5);
    this.#later(() => {
      if (rest) this.#deliverToQueue();
      this.#close();
    });
  }

  /** The queue is gone. */
  cut(): void {
    if (this.closed) return;
    this.closed = true;
    this.#between.spy.onClosed(this);
    this.peer.onClosed();
  }

  #fromQueue(octets: Buffer): void {
    if (this.closed || this.#between.queueLife.dead) return;
    const frame = frameOf(octets);
    this.#between.spy.onSent(this, frame);
    if (this.#toPeer.length === 0) this.#later(() => this.#deliverToPeer());
    this.#toPeer.push(frame);
  }

  #deliverToPeer(): void {
    for (const frame of this.#some(this.#toPeer, () => this.#deliverToPeer())) {
      if (!this.closed) this.peer.onFrame(frame);
    }
  }

  #deliverToQueue(): void {
    for (const frame of this.#some(this.#toQueue, () => this.#deliverToQueue())) {
      if (this.closed) return;
      this.#between.spy.onHeard(this, frame);
      if (this.#events?.onFrame(frame) === "broken") this.#close();
      frame.payload.fill(0); // it was the queue's for the call, no longer
    }
  }

  /** All that is on its way, or the beginning of it. */
  #some(frames: Frame[], again: () => void): readonly Frame[] {
    if (frames.length > 1 && this.#between.random.chance(0.2)) {
      this.#later(again);
      return frames.splice(0, 1 + this.#between.random.below(frames.length - 1));
    }
    return frames.splice(0);
  }

  #close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#between.spy.onClosed(this);
    this.#events?.onClose("closed");
    this.#later(() => this.peer.onClosed());
  }

  #later(call: () => void): void {
    const { timeline, random } = this.#between;
    timeline.after(random.chance(0.5) ? 0 : random.next() * 3, world, call);
  }
}

const frameOf = (octets: Buffer): Frame => ({
  type: octets.readUInt8(4),
  stream: octets.readUInt32BE(5),
  payload: octets.subarray(headerOctets),
});
