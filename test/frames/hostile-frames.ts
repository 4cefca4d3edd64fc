import { Socket } from "node:net";
import { ended, forward, report } from "../../src/protocol/wire/delivery.ts";
import {
  createFrameReader,
  encodeFrame,
  type Frame,
  headerOctets,
  maxPayloadOctets,
} from "../../src/protocol/wire/frame.ts";
import { mutated, readSeeds } from "../fuzz/mutate.ts";
import type { Source } from "../fuzz/source.ts";

const addresses = readSeeds("addresses");
const reports = readSeeds("reports");

/** Makes a frame for a stream, or several. */
export type Kind = (source: Source, stream: number) => Buffer;

export const anyNumber = (source: Source): number =>
  source.pick([0, 1, 2, 65_536, 2 ** 31, 2 ** 32 - 1, source.below(2 ** 32)]);
/** Half of them could be queued. */
export const anyAddress = (source: Source): string =>
  source.oneIn(2)
    ? mutated(source, addresses).slice(0, 20_000)
    : source.pick(["x@far.example", "y@here.example", "", "z", "@here.example"]);
export const anyText = (source: Source): string => mutated(source, reports).slice(0, 20_000);

/** A whole answer to a delivery: copies for whom it likes, and the word that all went well. */
export const forwardsAndEnds: Kind = (source, stream) => {
  const forwardPaths = [anyAddress(source), ...source.list(2, () => anyAddress(source))];
  const number = source.pick([1, 0]);
  return Buffer.concat([
    forward.encode(stream, { reversePath: anyAddress(source), prefix: source.octets(200), forwardPaths }),
    report.encode(stream, { number, letter: "K", status: "", text: "done\n" }),
    ended.encode(stream, { reached: 1 }),
  ]);
};

/** A frame of a kind that exists, for a stream that may; now and then with a payload that was torn, or of no kind at all. */
export function hostileFrame(source: Source, kinds: readonly Kind[], streams: readonly number[]): Buffer {
  const stream = source.oneIn(8) ? anyNumber(source) : source.pick(streams);
  const frame = source.pick(kinds)(source, stream);
  if (!source.oneIn(12)) return frame;
  const payload = mutated(source, [frame.subarray(headerOctets).toString("latin1")]).slice(0, maxPayloadOctets);
  const type = source.oneIn(3) ? source.below(256) : frame.readUInt8(4);
  return encodeFrame(type, stream, Buffer.from(payload, "latin1"));
}

/** As much of a socket as a channel touches: what is sent to us comes as frames, and nothing leaves the process. */
export class FakeSocket extends Socket {
  readonly sent: Frame[] = [];
  readonly #read = createFrameReader();
  /** What was written and nobody has read; once it is set, it grows with what is written. */
  unreadOctets = 0;
  isGone = false;

  constructor() {
    super();
    Object.defineProperty(this, "writableLength", { get: () => this.unreadOctets });
  }

  override write(octets: Uint8Array | string): boolean {
    if (this.unreadOctets > 0) this.unreadOctets += octets.length;
    const frames = this.#read(Buffer.from(octets as Uint8Array));
    if (frames === "broken") throw new Error("a frame that nobody can read was sent");
    for (const { type, stream, payload } of frames) this.sent.push({ type, stream, payload: Buffer.from(payload) });
    return true;
  }

  override cork(): void {}
  override uncork(): void {}
  override destroy(): this {
    this.isGone = true;
    return this;
  }

  /** The peer sends. */
  say(...frames: readonly Buffer[]): void {
    for (const frame of frames) if (!this.isGone) this.emit("data", frame);
  }

  /** What was sent since the last time. */
  takeSent(): readonly Frame[] {
    return this.sent.splice(0);
  }
}

export const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
