import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers/promises";
import type { Config } from "../../../src/programs/remote/config.ts";
import type { Network } from "../../../src/programs/remote/network.ts";
import { createRemote, type World } from "../../../src/programs/remote/remote.ts";
import { done } from "../../../src/protocol/outcome.ts";
import {
  bodyEnd,
  deliver,
  deliveryBodyType,
  deliveryCredit,
  deliveryWindowOctets,
  ended,
  report,
} from "../../../src/protocol/wire/delivery.ts";
import { createFrameReader, encodeFrame, type Frame } from "../../../src/protocol/wire/frame.ts";
import { Random } from "../random.ts";
import { Timeline } from "../timeline.ts";
import { encode, type Given, Ledger } from "./ledger.ts";
import type { Mutant } from "./mutants.ts";
import { type Manners, type Move, moves, unknown } from "./peer.ts";
import type { SimulatedWire } from "./wire.ts";
import { domains, hostsOf, simulatedDns, simulatedNetwork, type Weather } from "./world.ts";

export const faults = [
  ...moves,
  "refuse",
  "unreachable",
  "dns",
  "tls",
  "slow",
  "octets",
  "break",
  "reload",
  "stop",
] as const;
export type Fault = (typeof faults)[number];

export interface Options {
  /** Deliveries asked for. */
  readonly steps: number;
  readonly without: ReadonlySet<Fault>;
  readonly mutant?: Mutant;
  readonly trace?: (line: string) => void;
}

export interface Run {
  readonly deliveries: number;
  readonly simulatedMs: number;
  readonly violation?: string;
}

const life = { dead: false };
const tickMs = 1_000;
const connectMs = 60_000;

/** The whole of `remote`, but for processes and sockets, among peers and a DNS of all manners; one seed, one run. */
export async function simulate(seed: number, options: Options): Promise<Run> {
  const run = new Simulation(seed, options);
  await run.play();
  const { violation } = run.ledger;
  const figures = { deliveries: run.deliveries, simulatedMs: Math.round(run.timeline.steadyMs) };
  return violation === undefined ? figures : { ...figures, violation };
}

/** One end of the channel with `queue`: what the program writes, and what it is told. */
class QueueEnd extends Duplex {
  readonly #heard: (octets: Buffer) => void;
  constructor(heard: (octets: Buffer) => void) {
    super();
    this.#heard = heard;
  }
  override _read(): void {}
  override _write(chunk: Buffer, _: string, taken: () => void): void {
    this.#heard(chunk);
    taken();
  }
}

interface Stream {
  readonly given: Given;
  rest: Buffer;
  credit: number;
  readonly isSlow: boolean;
}

class Simulation {
  readonly ledger = new Ledger();
  readonly timeline: Timeline;
  deliveries = 0;
  readonly #random: Random;
  readonly #options: Options;
  readonly #rates: ReadonlyMap<Fault, number>;
  readonly #open = new Set<SimulatedWire>();
  readonly #silenceMs: number;
  readonly #streams = new Map<number, Stream>();
  #queue: QueueEnd | undefined;
  #running = 0;

  constructor(seed: number, options: Options) {
    this.#random = new Random(seed);
    this.#options = options;
    this.timeline = new Timeline(this.#random);
    this.#silenceMs = this.#random.pick([1_200_000, 1_200_000, 30_000]);
    this.#rates = new Map(faults.map((fault) => [fault, this.#random.pick([0, 0, 0.01, 0.05, 0.2])]));
  }

  async play(): Promise<void> {
    const { mutant } = this.#options;
    const weather = this.#weather();
    const config = this.#config();
    const network = simulatedNetwork(weather, this.#open);
    const every: World["every"] = (ms, call) => {
      const again = () => {
        call();
        this.timeline.after(ms, life, again);
      };
      this.timeline.after(ms, life, mutant?.neverTicks ? () => {} : again);
      return () => {};
    };
    const dns = simulatedDns(weather);
    const world: World = {
      network: mutant?.network?.(network) ?? (network as Network),
      createDns: () => done(mutant?.dns?.(dns) ?? dns),
      fetch: async () => ({ kind: "failed", why: "no network" }),
      every,
    };
    const made = createRemote({
      config,
      readConfig: () => done(config),
      log: () => {},
      random: () => this.#random.next(),
      now: () => this.timeline.steadyMs,
      tickMs,
      world,
    });
    if (made.kind !== "done") throw new Error(made.text);
    const program = made.value;
    this.#connect((socket) => program.peer?.("queue", socket));
    for (let step = 0; step < this.#options.steps && this.ledger.violation === undefined; step++) {
      this.#ask();
      if (this.#happens("break")) {
        await this.#until(this.timeline.steadyMs + this.#random.below(10_000));
        this.#breakOff();
        this.#connect((socket) => program.peer?.("queue", socket));
      }
      if (this.#happens("reload")) program.reload?.({} as never, []);
      await this.#until(this.timeline.steadyMs + this.#random.pick([0, 10, 1_000, 4_000, 100_000]));
    }
    const isStopped = this.#happens("stop");
    if (isStopped) {
      const limitMs = this.timeline.steadyMs + config.stopMs + 2 * tickMs;
      void program.stop();
      await this.#until(limitMs);
      if (this.#running > 0) this.ledger.fail("still delivering after it was to stop");
      return;
    }
    const limitMs = this.timeline.steadyMs + this.#longestMs(5) + 60_000;
    while (this.#running > 0 && this.timeline.steadyMs < limitMs && this.ledger.violation === undefined) {
      await this.#until(this.timeline.steadyMs + 10_000);
    }
    if (this.#running > 0) this.ledger.fail(`${this.#running} deliveries never end`);
    await this.#until(this.timeline.steadyMs + config.idleMs + 30_000);
    if (this.#open.size > 0) this.ledger.fail(`${this.#open.size} connections are left`);
  }

  async #until(ms: number): Promise<void> {
    let isThere = false;
    this.timeline.after(ms - this.timeline.steadyMs, life, () => {
      isThere = true;
    });
    while (!isThere && this.ledger.violation === undefined) {
      const call = this.timeline.next();
      if (!call) return;
      call();
      await setImmediate();
      await setImmediate();
      if (this.#open.size > this.#running + 210) this.ledger.fail(`${this.#open.size} connections at once`);
    }
  }

  #connect(serve: (socket: Socket) => void): void {
    const read = createFrameReader();
    const queue: QueueEnd = new QueueEnd((octets) => {
      const frames = read(octets);
      if (frames === "broken") return this.ledger.fail("sends frames that are none");
      for (const frame of frames) {
        for (const each of this.#options.mutant?.frames?.(frame) ?? [frame]) {
          if (this.#queue === queue) this.#onFrame(each);
        }
      }
    });
    queue.on("close", () => {
      if (this.#queue === queue) this.ledger.fail("closes the channel");
    });
    this.#queue = queue;
    serve(queue as unknown as Socket);
  }

  #breakOff(): void {
    const queue = this.#queue;
    this.#queue = undefined;
    for (const { given } of this.#streams.values()) given.isDropped = true;
    this.#running -= this.#streams.size;
    this.#streams.clear();
    queue?.destroy();
  }

  #ask(): void {
    const stream = ++this.deliveries;
    const domain = this.#random.pick(domains);
    const truths = Array.from({ length: this.#random.pick([1, 1, 3, 20]) }, (_, at) => ({
      forwardPath: `${this.#random.chance(0.1) ? unknown : "r"}${stream}-${at}@${domain}`,
      ...{ refusals: 0, heardRcpt: 0, dots: 0, heardTaken: 0, reports: [] },
    }));
    const body = this.#body(stream);
    const reversePath = `s${stream}@us.example`;
    const encoded = encode(body);
    const beganMs = this.timeline.steadyMs;
    const hosts = hostsOf(domain);
    const given: Given = {
      stream,
      reversePath,
      domain,
      hosts,
      truths,
      body,
      encoded,
      beganMs,
      ends: 0,
      isDropped: false,
    };
    this.ledger.add(given);
    this.#running++;
    const rest = Buffer.from(body, "latin1");
    const isSlow = this.#happens("slow");
    this.#streams.set(stream, { given, rest, credit: deliveryWindowOctets, isSlow });
    this.#tell(
      deliver.encode(stream, {
        queueId: stream,
        name: `m${stream}`,
        arrivedMs: 0,
        octets: rest.length,
        bodyKind: 0,
        attempt: 1,
        reversePath,
        numbers: truths.map((_, at) => at),
        forwardPaths: truths.map(({ forwardPath }) => forwardPath),
      }),
    );
    this.#feed(stream);
  }

  #feed(number: number): void {
    const stream = this.#streams.get(number);
    if (!stream || (stream.rest.length === 0 && stream.credit < 0)) return;
    const piece = stream.rest.subarray(0, Math.min(stream.credit, 1 + this.#random.below(65_536)));
    stream.rest = stream.rest.subarray(piece.length);
    stream.credit -= piece.length;
    if (piece.length > 0) this.#tell(encodeFrame(deliveryBodyType, number, piece));
    if (stream.rest.length === 0) {
      stream.credit = -1;
      this.#tell(bodyEnd.encode(number, {}));
    } else if (stream.credit > 0) {
      this.timeline.after(stream.isSlow ? this.#random.pick([1_000, 20_000, 400_000]) : 1, life, () =>
        this.#feed(number),
      );
    }
  }

  #tell(frame: Buffer): void {
    this.#queue?.push(frame);
  }

  #onFrame({ type, stream: number, payload }: Frame): undefined {
    const stream = this.#streams.get(number);
    if (!stream) return this.ledger.fail(`frame ${type} for stream ${number}, which has ended`);
    if (type === deliveryCredit.type) {
      const wasEmpty = stream.credit === 0;
      stream.credit += deliveryCredit.decode(payload)?.octets ?? 0;
      if (wasEmpty) this.#feed(number);
    } else if (type === report.type) {
      const said = report.decode(payload);
      if (!said) return this.ledger.fail("a report that is none");
      this.#options.trace?.(
        `${Math.round(this.timeline.steadyMs)} ${number}-${said.number} ${said.letter} ${said.text}`,
      );
      this.ledger.report(stream.given, said.number, said.letter, said.text);
    } else if (type === ended.type) {
      this.#streams.delete(number);
      this.#running--;
      this.ledger.end(stream.given, this.timeline.steadyMs, this.#longestMs(stream.given.truths.length));
    } else this.ledger.fail(`frame ${type}`);
    return undefined;
  }

  /** DNS, then hosts one after the other until the time for starting is over, then each reply of the last, twice. */
  #longestMs(recipients: number): number {
    const waitMs = Math.min(600_000, this.#silenceMs);
    const one = connectMs + (10 + recipients) * waitMs + 40 * 180_000;
    return 60_000 + this.#silenceMs + 2 * one;
  }

  #body(stream: number): string {
    const octets = this.#random.pick([0, 10, 500, 500, 20_000, 200_000]);
    const line = this.#random.pick([".\n..\n.x\n", "a\r\nb\n", "c\rd\n", "text of some length\n"]);
    const end = this.#random.pick(["", "no end", "\r", "."]);
    return octets === 0 ? "" : `X-Id: ${stream}\n\n${line.repeat(octets / line.length)}${end}`;
  }

  #config(): Config {
    return {
      heloHost: "us.example",
      routes: new Map(),
      qmtpRoutes: new Map(),
      lmtpRoutes: new Map(),
      tlsRules: new Map(),
      authorities: [],
      logins: new Map(),
      usesDnssec: false,
      usesSts: false,
      httpsPort: 443,
      qmtpPort: 209,
      nameservers: ["192.0.2.53"],
      dnsTimeoutMs: 3_000,
      isOwn: (address) => address === "192.0.2.99",
      prefersIpv6: false,
      smtpPort: 25,
      connectTimeoutMs: connectMs,
      silenceTimeoutMs: this.#silenceMs,
      idleMs: 5_000,
      stopMs: 8_000,
    };
  }

  #weather(): Weather {
    const { sends, hears } = this.#options.mutant ?? {};
    const said = (direction: string, octets: Buffer): Buffer => {
      const text = octets.length > 200 ? `${octets.length} octets` : JSON.stringify(octets.toString("latin1"));
      this.#options.trace?.(`${Math.round(this.timeline.steadyMs)} ${direction} ${text}`);
      return octets;
    };
    const changed = {
      sends: (octets: Buffer) => said(">", sends ? changedText(octets, sends) : octets),
      hears: (octets: Buffer) => said("<", hears ? changedText(octets, hears) : octets),
    };
    return {
      random: this.#random,
      timeline: this.timeline,
      life,
      ledger: this.ledger,
      silenceMs: this.#silenceMs,
      changed,
      happens: (fault) => this.#happens(fault),
      mannersOf: () => this.#manners(),
    };
  }

  #manners(): Manners {
    return {
      pipelining: this.#random.chance(0.5),
      eightBitMime: this.#random.chance(0.5),
      startTls: this.#random.chance(0.3),
      maxOctets: this.#random.pick([undefined, 0, 1_000_000]),
      mostMs: this.#random.pick([0, 50, 5_000]),
      inOctets: this.#happens("octets"),
      move: () => moves.find((move: Move) => this.#happens(move)),
      below: (limit) => this.#random.below(limit),
    };
  }

  #happens(fault: Fault): boolean {
    return this.#random.chance(this.#rates.get(fault) ?? 0) && !this.#options.without.has(fault);
  }
}

const changedText = (octets: Buffer, change: (text: string) => string): Buffer =>
  Buffer.from(change(octets.toString("latin1")), "latin1");
