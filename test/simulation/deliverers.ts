import { domainOf } from "../../src/protocol/routing/router.ts";
import type { ChannelName } from "../../src/protocol/schedule/scheduler.ts";
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
} from "../../src/protocol/wire/delivery.ts";
import { encodeFrame, type Frame } from "../../src/protocol/wire/frame.ts";
import type { Link, PeerEnd } from "./link.ts";
import { longestDeliveryMs } from "./oracle.ts";
import type { Random } from "./random.ts";
import type { Life, Timeline } from "./timeline.ts";

type Fields = NonNullable<ReturnType<typeof deliver.decode>>;

interface Fate {
  readonly number: number;
  readonly letter: string;
  readonly forwardPaths: readonly string[];
}

/** How the world treats mail just now: probabilities. */
export interface Manners {
  defer: number;
  reject: number;
  hang: number;
  /** A lie or a breach of protocol instead of an answer. */
  lie: number;
  breakOff: number;
  /** Longest time to deliver. */
  mostMs: number;
}

/** What the delivering programs leave behind: survives them. */
export interface Outside {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly manners: Manners;
  /** Domains that cannot be reached. */
  readonly down: Set<string>;
  /** Nobody answers questions about names. */
  dnsIsDown: boolean;
  /** Deliveries to mailboxes that are done, until their result is settled. */
  readonly marks: Set<string>;
  /** Of these, which a power cut may take away. */
  readonly unflushed: Map<string, Fields>;
  readonly keepsMarks: boolean;
  readonly marksFirst: boolean;
  /** How long it takes to find out that nobody answers. */
  silentMs: number;
  copied(queueId: number, number: number): void;
  checkBody(queueId: number, body: string): void;
}

/** What a local address does, by its name. */
const forwards: ReadonlyMap<string, readonly string[]> = new Map([
  ["fwd0@here.org", ["user1@here.org", "x@d1.example"]],
  ["fwd1@here.org", ["fwd0@here.org"]],
  ["fwd2@here.org", ["user2@here.org", "user2@here.org", "bad@here.org"]],
]);

/** A delivering program: `local` with its workers, or `remote` with the servers it speaks to. */
export class Deliverer implements PeerEnd {
  readonly link: Link;
  readonly #channel: ChannelName;
  readonly #outside: Outside;
  readonly #life: Life = { dead: false };
  readonly #streams = new Map<number, { fields: Fields; body: Buffer[]; answered: boolean; asked?: true }>();
  /** Answered, not settled. */
  readonly #unsettled = new Map<number, string>();

  constructor(link: Link, channel: ChannelName, outside: Outside) {
    this.link = link;
    this.#channel = channel;
    this.#outside = outside;
    link.peer = this;
  }

  onClosed(): void {
    this.#life.dead = true;
    if (this.#channel !== "local" || !this.#outside.marksFirst) return;
    for (const { fields } of this.#streams.values()) this.#outside.marks.add(markOf(fields));
  }

  /** The process dies. */
  die(): void {
    this.#life.dead = true;
    this.link.break();
  }

  onFrame({ type, stream, payload }: Frame): void {
    if (this.#life.dead) return;
    if (type === deliver.type) {
      const fields = deliver.decode(payload);
      if (fields) this.#begin(stream, fields);
      return;
    }
    const delivery = this.#streams.get(stream);
    if (type === settled.type) {
      const mark = this.#unsettled.get(stream);
      if (mark) this.#outside.marks.delete(mark);
      this.#unsettled.delete(stream);
    } else if (type === deliverOptions.type && delivery) {
      delivery.asked = true;
    } else if (type === deliveryBodyType) {
      delivery?.body.push(payload);
      const credit = deliveryCredit.encode(stream, { octets: payload.length });
      this.#later(5, () => this.#streams.get(stream) === delivery && this.link.send(credit)); // none after its end
    } else if (type === bodyEnd.type && delivery && !delivery.answered) {
      this.#outside.checkBody(delivery.fields.queueId, Buffer.concat(delivery.body).toString("latin1"));
      this.#later(this.#outside.manners.mostMs, () => this.#carryOut(stream, delivery.fields));
    }
  }

  #begin(stream: number, fields: Fields): void {
    const { random, manners } = this.#outside;
    const delivery = { fields, body: [], answered: false };
    this.#streams.set(stream, delivery);
    if (!random.chance(manners.lie)) return;
    delivery.answered = true;
    this.#later(50, () => this.#lie(stream, fields));
  }

  #later(mostMs: number, call: () => void): void {
    const { timeline, random } = this.#outside;
    if (random.chance(0.5)) call();
    else timeline.after(random.next() * mostMs, this.#life, call);
  }

  #lie(stream: number, { numbers: [number = 0] }: Fields): void {
    const { random } = this.#outside;
    const text = "nonsense";
    const lies: (() => Buffer[])[] = [
      () => [ended.encode(stream, { reached: 0 })],
      () => [ended.encode(stream, { reached: 3 })],
      () => [ended.encode(stream, { reached: 200 })],
      () => [
        report.encode(stream, { number, letter: "Q", status: "\u0001", text }),
        ended.encode(stream, { reached: 1 }),
      ],
      () => [report.encode(stream, { number: number + 1_000_000, letter: "K", status: "", text })],
      () => [
        report.encode(stream, { number, letter: "K", status: "", text }),
        encodeFrame(99, stream, Buffer.alloc(9)),
      ],
      () => [report.encode(stream + 77, { number, letter: "K", status: "", text })],
      () => [deliveryCredit.encode(stream, { octets: 2 ** 32 - 1 }), ended.encode(stream, { reached: 2 })],
      () => [encodeFrame(forward.type, stream, Buffer.from("not a forward"))],
    ];
    this.link.send(...(lies[random.below(lies.length)]?.() ?? []));
  }

  #carryOut(stream: number, fields: Fields): void {
    const { random, manners, timeline } = this.#outside;
    if (random.chance(manners.breakOff)) {
      if (random.chance(0.5)) this.#deliver(fields); // it dies after its work, before its word
      this.die();
      return;
    }
    if (random.chance(manners.hang)) {
      timeline.after(longestDeliveryMs, this.#life, () => this.#answer(stream, fields.numbers.map(deferral), 0));
      return;
    }
    const fates = this.#deliver(fields);
    const reached = this.#reached(fields.forwardPaths[0] ?? "");
    const later = (call: () => void): void => {
      if (reached === 2) timeline.after(this.#outside.silentMs, this.#life, call);
      else this.#later(20, call);
    };
    later(() => {
      this.#outside.unflushed.delete(markOf(fields));
      this.#answer(stream, fates, reached, fields);
    });
  }

  #reached(forwardPath: string): number {
    const { random, down, dnsIsDown } = this.#outside;
    if (this.#channel === "remote" && dnsIsDown) return 0;
    if (this.#channel === "remote" && down.has(domainOf(forwardPath))) return 2;
    return random.chance(0.9) ? 1 : 0;
  }

  #deliver(fields: Fields): Fate[] {
    const takes = /@d[24]\./.test(fields.forwardPaths[0] ?? "") ? 3 : Number.POSITIVE_INFINITY;
    return fields.numbers
      .slice(0, takes)
      .map((number, at) => this.#fate(fields, number, fields.forwardPaths[at] ?? ""));
  }

  #fate(fields: Fields, number: number, forwardPath: string): Fate {
    const { random, manners, marks, unflushed, copied, down } = this.#outside;
    const mark = markOf(fields);
    const fate = { number, letter: "K", forwardPaths: [] };
    if (this.#channel === "local" && marks.has(mark)) return fate;
    if (this.#channel === "remote" && (this.#outside.dnsIsDown || down.has(domainOf(forwardPath)))) {
      return deferral(number);
    }
    if (random.chance(manners.defer)) return deferral(number);
    if (forwardPath.startsWith("bad") || random.chance(manners.reject)) return { ...fate, letter: "D" };
    const forwardPaths = this.#channel === "local" ? forwards.get(forwardPath) : undefined;
    if (forwardPaths) return { ...fate, forwardPaths };
    copied(fields.queueId, number);
    if (this.#channel === "remote" || !this.#outside.keepsMarks) return fate;
    marks.add(mark);
    unflushed.set(mark, fields);
    return fate;
  }

  #answer(stream: number, fates: readonly Fate[], reached: number, fields?: Fields): void {
    const isAsked = this.#streams.get(stream)?.asked === true;
    this.#streams.delete(stream);
    const frames: Buffer[] = [];
    for (const { number, letter, forwardPaths } of fates) {
      if (forwardPaths.length > 0 && fields) {
        const prefix = Buffer.from(`${markerFor(fields.queueId, number)}\n`);
        const [first = "", ...rest] = forwardPaths;
        frames.push(forward.encode(stream, { reversePath: fields.reversePath, prefix, forwardPaths: [first] }));
        const nothing = Buffer.alloc(0);
        if (rest.length > 0) {
          frames.push(forward.encode(stream, { reversePath: fields.reversePath, prefix: nothing, forwardPaths: rest }));
        }
      }
      if (isAsked && letter === "K") frames.push(relayed.encode(stream, nextHop(fields?.forwardPaths[0] ?? "")));
      const text = letter === "K" ? "did it\n" : "did not\n";
      frames.push(report.encode(stream, { number, letter, status: letter === "K" ? "" : "1.1", text }));
    }
    if (this.#channel === "local" && fields) this.#unsettled.set(stream, markOf(fields));
    this.link.send(...frames, ended.encode(stream, { reached }));
  }
}

/** The servers of some domains see to reports themselves, those of others take only a few recipients at once. */
const nextHop = (forwardPath: string) => ({
  peer: "mx.example",
  takesDsn: /@d[01]\./.test(forwardPath) ? 1 : 0,
  isFinal: 0,
});

const deferral = (number: number): Fate => ({ number, letter: "Z", forwardPaths: [] });

const markOf = ({ name, numbers }: Fields): string => `${name}R${numbers[0]}`;

export const markerFor = (queueId: number, number: number): string => `Forward: ${queueId} ${number}`;
