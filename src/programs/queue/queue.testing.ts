import { readSettings } from "../../protocol/control/parse.ts";
import type { Settings } from "../../protocol/control/table.ts";
import type { Event } from "../../protocol/event/event.ts";
import {
  bodyEnd,
  deliver,
  deliverOptions,
  deliveryBodyType,
  deliveryCredit,
  ended,
  forward,
  relayed,
  report,
  settled,
} from "../../protocol/wire/delivery.ts";
import { createFrameReader, encodeFrame, type Frame } from "../../protocol/wire/frame.ts";
import {
  bodyType,
  commit,
  dsnRecipients,
  noOptions,
  type Options,
  open,
  options,
  recipients,
  refused,
  stored,
} from "../../protocol/wire/submission.ts";
import type { ChannelEvents } from "../../services/channel/channel.ts";
import type { Storage } from "../../services/storage/storage.ts";
import type { Clock } from "./clock.ts";
import { patienceMs } from "./commit.ts";
import { createQueue, type Queue } from "./queue.ts";

/** A clock that stands still until told otherwise. */
export class FakeClock implements Clock {
  wall = 1_700_000_000_000;
  steady = 0;
  #soon: (() => unknown)[] = [];
  #timers: { atMs: number; call: () => unknown }[] = [];

  wallMs(): number {
    return this.wall;
  }
  steadyMs(): number {
    return this.steady;
  }
  soon(call: () => unknown): void {
    this.#soon.push(call);
  }
  after(ms: number, call: () => unknown): () => void {
    const timer = { atMs: this.steady + ms, call };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Lets everything happen that can happen now, or as good as now: what waits for company in a commit counts. */
  async settle(momentMs = patienceMs): Promise<void> {
    for (let quiet = 0; quiet < 3; ) {
      await new Promise((resolve) => setImmediate(resolve));
      const calls = this.#soon.splice(0);
      const due = this.#timers.filter(({ atMs }) => atMs <= this.steady + momentMs);
      this.#timers = this.#timers.filter((timer) => !due.includes(timer));
      quiet = calls.length + due.length > 0 ? 0 : quiet + 1;
      for (const call of calls) call();
      for (const { call } of due) call();
    }
  }

  /** Goes on by so much, in steps of at most a minute as real time would be seen. */
  async advance(ms: number): Promise<void> {
    for (let left = ms; left > 0; ) {
      const step = Math.min(left, 30_000);
      this.wall += step;
      this.steady += step;
      left -= step;
      await this.settle();
    }
  }
}

/** The other end of a channel: what the queue sends, and what we send it. */
export class FakePeer {
  frames: Frame[] = [];
  closed = false;
  #events: ChannelEvents | undefined;
  readonly #read = createFrameReader();
  /** Called for each frame the queue sends. */
  onFrame: (frame: Frame) => void = () => {};

  constructor(queue: Queue, name: string) {
    queue.connect(name, (events) => {
      this.#events = events;
      const send = (octets: Buffer): void => {
        if (this.closed) return;
        for (const frame of this.#read(Buffer.from(octets))) if (typeof frame !== "string") this.#receive(frame);
      };
      return {
        send,
        pass: (...frame) => send(encodeFrame(...frame)),
        flush() {},
        pendingOctets: 0,
        close: () => this.close(),
      };
    });
  }

  #receive(frame: Frame): void {
    this.frames.push(frame);
    this.onFrame(frame);
  }

  send(...frames: readonly Buffer[]): void {
    for (const octets of frames) {
      const read = createFrameReader()(octets);
      for (const frame of read === "broken" ? [] : read) {
        if (this.#events?.onFrame(frame) === "broken") this.close();
      }
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#events?.onClose("closed");
  }
}

export interface Handed {
  readonly id: number | undefined;
  readonly refused: { permanent: number; status: string; text: string } | undefined;
}

/** What a client asks for beyond the envelope. */
export interface Asked extends Partial<Options> {
  readonly notify?: number;
  readonly originalRecipient?: string;
  readonly reversePath?: string;
  readonly bodyKind?: number;
}

/** A receiving program. */
export class Submitter extends FakePeer {
  #stream = 0;

  begin(body: string, forwardPaths: readonly string[]): number {
    const stream = ++this.#stream;
    this.send(open.encode(stream, {}));
    if (body !== "") this.send(encodeFrame(bodyType, stream, Buffer.from(body, "latin1")));
    this.send(recipients.encode(stream, { forwardPaths }));
    return stream;
  }

  commit(stream: number, reversePath = "sender@example.org"): void {
    this.send(commit.encode(stream, { reversePath, bodyKind: 0, uid: 7 }));
  }

  submit(body: string, forwardPaths: readonly string[], reversePath?: string): number {
    const stream = this.begin(body, forwardPaths);
    this.commit(stream, reversePath);
    return stream;
  }

  /** A message, with what is asked for it and for each of its recipients. */
  ask(forwardPath: string | readonly string[], asked: Asked = {}, body = "Subject: asked\n\nbody\n"): number {
    const { notify = 0, originalRecipient = "", reversePath = "sender@example.org", bodyKind = 0, ...rest } = asked;
    const stream = ++this.#stream;
    const forwardPaths = [forwardPath].flat();
    const pieces = body.match(/[\s\S]{1,50000}/g) ?? [];
    this.send(
      open.encode(stream, {}),
      options.encode(stream, { ...noOptions, ...rest }),
      ...pieces.map((piece) => encodeFrame(bodyType, stream, Buffer.from(piece, "latin1"))),
      dsnRecipients.encode(stream, {
        forwardPaths,
        notify: forwardPaths.map(() => notify),
        originalRecipients: forwardPaths.map(() => originalRecipient),
      }),
      commit.encode(stream, { reversePath, bodyKind, uid: 7 }),
    );
    return stream;
  }

  answer(stream: number): Handed {
    const mine = this.frames.filter((frame) => frame.stream === stream);
    const ok = mine.find(({ type }) => type === stored.type);
    const bad = mine.find(({ type }) => type === refused.type);
    return { id: ok && stored.decode(ok.payload)?.queueId, refused: bad && refused.decode(bad.payload) };
  }
}

export interface Delivered {
  readonly stream: number;
  readonly queueId: number;
  readonly name: string;
  readonly reversePath: string;
  readonly attempt: number;
  readonly octets: number;
  readonly numbers: readonly number[];
  readonly forwardPaths: readonly string[];
  readonly bodyKind: number;
  /** What was asked for beyond the envelope. */
  options: ReturnType<typeof deliverOptions.decode>;
  body: string;
  complete: boolean;
  answered: boolean;
  settled: boolean;
}

/** What a fake delivering program answers for one recipient. */
export interface Fate {
  readonly letter: string;
  readonly text?: string;
  readonly status?: string;
  readonly reached?: number;
  readonly relayed?: { readonly peer: string; readonly takesDsn: number; readonly isFinal: number };
  readonly forwards?: readonly { reversePath: string; prefix: string; forwardPaths: readonly string[] }[];
}

/** A delivering program: collects messages, and answers when it has all of one, if it has an answer. */
export class Deliverer extends FakePeer {
  readonly deliveries: Delivered[] = [];
  fate: (forwardPath: string, delivery: Delivered) => Fate | undefined;
  /** Of the recipients of a delivery, at most so many are reported. */
  tries = Number.POSITIVE_INFINITY;

  constructor(
    queue: Queue,
    name: "local" | "remote",
    fate: (forwardPath: string, delivery: Delivered) => Fate | undefined,
  ) {
    super(queue, name);
    this.fate = fate;
    this.onFrame = (frame) => this.#take(frame);
    for (const frame of this.frames) this.#take(frame);
  }

  get running(): readonly Delivered[] {
    return this.deliveries.filter(({ complete, answered }) => complete && !answered);
  }

  #take({ type, stream, payload }: Frame): void {
    if (type === deliver.type) {
      const fields = deliver.decode(payload);
      if (fields)
        this.deliveries.push({
          ...fields,
          stream,
          options: undefined,
          body: "",
          complete: false,
          answered: false,
          settled: false,
        });
      return;
    }
    const delivery = this.deliveries.findLast((other) => other.stream === stream);
    if (!delivery) return;
    if (type === deliverOptions.type) {
      delivery.options = deliverOptions.decode(payload);
    } else if (type === deliveryBodyType) {
      delivery.body += payload.toString("latin1");
      const credit = deliveryCredit.encode(stream, { octets: payload.length });
      queueMicrotask(() => this.send(credit));
    } else if (type === settled.type) {
      delivery.settled = true;
    } else if (type === bodyEnd.type) {
      delivery.complete = true;
      queueMicrotask(() => this.answer(delivery));
    }
  }

  /** Reports every recipient, if there is an answer for all. */
  answer(delivery: Delivered): void {
    const fates = delivery.forwardPaths.map((forwardPath) => this.fate(forwardPath, delivery));
    if (fates.some((fate) => !fate)) return;
    delivery.answered = true;
    for (const [at, fate] of fates.slice(0, this.tries).entries()) {
      for (const { reversePath, prefix, forwardPaths } of fate?.forwards ?? []) {
        this.send(forward.encode(delivery.stream, { reversePath, prefix: Buffer.from(prefix), forwardPaths }));
      }
      if (fate?.relayed) this.send(relayed.encode(delivery.stream, fate.relayed));
      const number = delivery.numbers[at] ?? 0;
      const { letter = "Z", status = "", text = "" } = fate ?? {};
      this.send(report.encode(delivery.stream, { number, letter, status, text }));
    }
    this.send(ended.encode(delivery.stream, { reached: fates[0]?.reached ?? 1 }));
  }
}

export const delivers = (): Fate => ({ letter: "K", text: "did 1+0+0\n" });

export function settingsOf(files: Readonly<Record<string, string>> = {}): Settings {
  const settings = readSettings(new Map(Object.entries({ me: "mx.example.net", ...files })));
  if (settings.kind !== "done") throw new Error(settings.text);
  return settings.value;
}

export interface Bench {
  readonly clock: FakeClock;
  readonly queue: Queue;
  readonly events: Event[];
  readonly smtpd: Submitter;
}

/** A queue on a store, with a program that hands in mail. Deliverers are the test's. */
export function startQueue(storage: Storage, settings = settingsOf(), clock = new FakeClock()): Bench {
  const events: Event[] = [];
  const queue = createQueue({ storage, clock, settings, log: (event) => void events.push(event), uid: 42 });
  return { clock, queue, events, smtpd: new Submitter(queue, "smtpd") };
}

export async function ask(queue: Queue, clock: FakeClock, request: unknown): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = [];
  const asked = queue.operate(typeof request === "string" ? request : JSON.stringify(request), 0, async (lines) => {
    rows.push(...(lines as Record<string, unknown>[]));
  });
  await clock.settle();
  await asked;
  return rows;
}
