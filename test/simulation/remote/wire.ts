import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import type { Wire } from "../../../src/programs/remote/network.ts";
import type { Life, Timeline } from "../timeline.ts";

/** What a peer is told of one connection. */
export interface Ears {
  onOctets(octets: Buffer): void;
  /** The client ended it, in either way. */
  onGone(): void;
}

/** Sits at the client's end of a connection: what it says and hears, as it does. */
export interface Witness {
  onSent(octets: Buffer): void;
  onHeard(octets: Buffer): void;
}

/** Each octet arrives later than the one before. */
const tinyMs = 0.001;

/** One connection: the client's end is a stream, the peer's end are methods. Octets take `latencyMs` each way. */
export class SimulatedWire extends Duplex implements Wire {
  ears: Ears | undefined;
  witness: Witness | undefined;
  /** The peer takes nothing: what is sent waits. */
  isStalled = false;
  readonly #timeline: Timeline;
  readonly #life: Life;
  readonly #latencyMs: number;
  readonly #changed: { sends(octets: Buffer): Buffer; hears(octets: Buffer): Buffer };
  #waiting: (() => void) | undefined;
  #lastOutMs = 0;
  #lastInMs = 0;

  constructor(
    timeline: Timeline,
    life: Life,
    latencyMs: number,
    changed: { sends(octets: Buffer): Buffer; hears(octets: Buffer): Buffer },
  ) {
    super({ allowHalfOpen: false });
    this.#timeline = timeline;
    this.#life = life;
    this.#latencyMs = latencyMs;
    this.#changed = changed;
  }

  override _read(): void {}

  override write(chunk: Buffer | string): boolean {
    return super.write(this.leaving(chunk));
  }

  /** What the client says, as a mutant would have it. */
  leaving(chunk: Buffer | string): Buffer {
    const octets = this.#changed.sends(typeof chunk === "string" ? Buffer.from(chunk, "latin1") : chunk);
    this.witness?.onSent(octets);
    return octets;
  }

  /** What the client has said already goes out. */
  pass(octets: Buffer, taken: (error?: Error | null) => void): void {
    super.write(octets, taken);
  }

  override _write(chunk: Buffer, _: string, taken: () => void): void {
    const octets = Buffer.from(chunk);
    this.#out(() => {
      if (this.destroyed) return;
      this.ears?.onOctets(octets);
      if (this.isStalled) this.#waiting = taken;
      else taken();
    });
  }

  override _final(taken: () => void): void {
    this.#out(() => this.ears?.onGone());
    taken();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#out(() => this.ears?.onGone());
    done(error);
  }

  destroySoon(): void {
    if (this.writableFinished) this.destroy();
    else this.end(() => this.destroy());
  }

  /** The peer takes again. */
  goOn(): void {
    this.isStalled = false;
    this.#waiting?.();
    this.#waiting = undefined;
  }

  /** The peer sends. */
  say(octets: Buffer): void {
    this.#in(() => {
      this.witness?.onHeard(octets);
      this.push(this.#changed.hears(octets));
    });
  }

  /** The peer accepted the connection; with TLS, the handshake is done. */
  established(event: "connect" | "secureConnect"): void {
    this.#in(() => this.emit(event));
  }

  /** The peer ends it; with `code` as if by an error. */
  hangUp(code?: string): void {
    this.#in(() => {
      if (code === undefined) this.push(null);
      else this.destroy(Object.assign(new Error(code), { code }));
    });
  }

  #out(then: () => void): void {
    this.#lastOutMs = Math.max(this.#lastOutMs + tinyMs, this.#timeline.steadyMs + this.#latencyMs);
    this.#timeline.after(this.#lastOutMs - this.#timeline.steadyMs, this.#life, then);
  }

  #in(then: () => void): void {
    this.#lastInMs = Math.max(this.#lastInMs + tinyMs, this.#timeline.steadyMs + this.#latencyMs);
    this.#timeline.after(this.#lastInMs - this.#timeline.steadyMs, this.#life, () => {
      if (!this.destroyed) then();
    });
  }
}
