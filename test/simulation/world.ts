import { settingsOf } from "../../src/programs/queue/queue.testing.ts";
import { createQueue, type Queue } from "../../src/programs/queue/queue.ts";
import type { Settings } from "../../src/protocol/control/table.ts";
import type { Event } from "../../src/protocol/event/event.ts";
import { deliver, deliverOptions, ended, forward, relayed, report, settled } from "../../src/protocol/wire/delivery.ts";
import type { Frame } from "../../src/protocol/wire/frame.ts";
import { Deliverer, type Manners, type Outside } from "./deliverers.ts";
import { Disk } from "./disk.ts";
import type { Recipient } from "./ledger.ts";
import { Link, type Spy } from "./link.ts";
import type { Mutant } from "./mutant.ts";
import { Oracle, type Report, type Started, tokenOf } from "./oracle.ts";
import { type Fault, type Profile, profileOf } from "./profile.ts";
import { Random } from "./random.ts";
import { type Mail, Submitter } from "./submitter.ts";
import { type Life, Timeline } from "./timeline.ts";

export interface Options {
  readonly steps: number;
  readonly without: ReadonlySet<Fault>;
  /** Begins with more recipients than fit in memory. */
  readonly flood?: boolean;
  readonly mutant?: Mutant;
  readonly trace?: (line: string) => void;
}

export const dayMs = 86_400_000;

interface Watched extends Started {
  readonly reports: Map<number, Report>;
  markers: string[];
  copies: number;
  takesDsn: boolean;
  /** What was asked went with it. */
  asked: boolean;
}

/** One server and all around it: what it is made of, how it dies and starts again. */
export class World implements Spy {
  readonly profile: Profile;
  readonly random: Random;
  readonly timeline: Timeline;
  readonly disk: Disk;
  readonly oracle: Oracle;
  readonly life: Life = { dead: false };
  readonly manners: Manners;
  readonly outside: Outside;
  readonly trace: ((line: string) => void) | undefined;
  readonly mails = new Map<string, Mail>();
  /** Whether a power cut takes what was not flushed; undefined for either. */
  loses: boolean | undefined;
  /** Told of each message that is acknowledged. */
  onStored: (mail: Mail) => void = () => {};
  settings: Settings;
  queue: Queue | undefined;
  peers: (Deliverer | Submitter)[] = [];
  readonly #mutant: Mutant;
  readonly #running = new Map<Link, Map<number, Watched>>();
  readonly #answered = new Map<Link, Map<number, readonly Recipient[]>>();
  #queueLife: Life = { dead: true };

  constructor(seed: number, { without, mutant = {}, trace }: Options) {
    this.profile = profileOf(seed, without, mutant.needs);
    this.#mutant = mutant;
    this.trace = trace;
    this.random = new Random(seed);
    this.timeline = new Timeline(this.random);
    this.settings = this.settingsWith({});
    this.oracle = new Oracle(this.settings, () => this.timeline);
    this.disk = new Disk(this.timeline, this.random, (changes) => {
      if (trace) for (const change of changes) this.say(() => `disk: ${describe(change)}`);
      this.oracle.committed(changes);
    });
    this.disk.mood.mostMs = this.profile.diskMs;
    this.manners = { defer: 0, reject: 0, hang: 0, lie: 0, breakOff: 0, mostMs: this.profile.deliveryMs };
    this.outside = {
      timeline: this.timeline,
      random: this.random,
      manners: this.manners,
      down: new Set(),
      dnsIsDown: false,
      marks: new Set(),
      unflushed: new Map(),
      keepsMarks: mutant.forgetsMarks !== true,
      marksFirst: mutant.marksFirst === true,
      silentMs: 0,
      copied: (queueId, number) => {
        const recipient = this.oracle.recipient(queueId, number);
        this.say(() => `a copy of message ${queueId} for recipient ${number}`);
        if (recipient) this.oracle.copied(recipient);
      },
      checkBody: (queueId, body) => this.#checkBody(queueId, body),
    };
  }

  say(text: () => string): void {
    this.trace?.(`${(this.timeline.steadyMs / 1_000).toFixed(3).padStart(14)} ${text()}`);
  }

  settingsWith(files: Readonly<Record<string, string>>): Settings {
    return settingsOf({
      locals: "here.org",
      bouncehost: "here.org",
      doublebouncehost: "here.org",
      queuelifetime: String(this.profile.lifetimeSeconds),
      concurrencydestination: "3",
      delaywarning: "1200",
      ...files,
    });
  }

  rate(fault: Fault): number {
    return this.profile.rates.get(fault) ?? 0;
  }

  /** How long a program takes to come back. */
  restartMs(): number {
    return this.random.next() * (this.random.chance(0.05) ? 3_600_000 : 2_000);
  }

  // The queue lives and dies.

  /** After each event. */
  check(): void {
    if (this.queue) this.oracle.checkMemory(this.queue.sizes());
  }

  get isUp(): boolean {
    return this.queue !== undefined;
  }

  boot(): void {
    const life = { dead: false };
    this.#queueLife = life;
    const storage = this.disk.open(life, (claimed, askedMs) => this.oracle.claimed(claimed, askedMs));
    void this.disk.counts().then((counts) => this.oracle.checkDisk(counts));
    const { wallMs } = this.timeline;
    const isJump = wallMs < storage.lastClockMs - 60_000 || wallMs > storage.lastClockMs + dayMs;
    this.oracle.booted(storage.lastClockMs > 0 && isJump);
    this.say(() => "the queue starts");
    const clock = this.timeline.clockOf(life);
    const queue = createQueue({
      storage: this.#mutant.storage?.(storage, this) ?? storage,
      clock: this.#mutant.clock?.(clock) ?? clock,
      settings: this.#mutant.settings?.(this.settings) ?? this.settings,
      log: (event) => this.#log(event),
      uid: 42,
    });
    this.queue = this.#mutant.queue?.(queue) ?? queue;
    for (const name of ["smtpd", "smtpd", "local", "remote"]) this.connect(name);
  }

  reload(settings: Settings): void {
    this.settings = settings;
    this.oracle.settings = settings;
    this.queue?.reload(this.#mutant.settings?.(settings) ?? settings);
  }

  connect(name: string): void {
    if (!this.queue) return;
    this.oracle.quietSinceMs = this.timeline.steadyMs;
    const { timeline, random, queue } = this;
    const link = new Link(name, { timeline, random, queue, queueLife: this.#queueLife, spy: this });
    if (name === "smtpd") {
      this.peers.push(
        new Submitter(link, timeline, random, {
          stored: (mail, queueId) => {
            this.say(() => `${mail.token} is acknowledged as message ${queueId}`);
            this.oracle.acknowledged(queueId, mail);
            this.onStored(mail);
          },
          refused: (mail) => this.oracle.refused(mail.token),
        }),
      );
    } else {
      this.peers.push(new Deliverer(link, name === "local" ? "local" : "remote", this.outside));
    }
  }

  /** SIGKILL; with `power` the whole machine stops. */
  crash(power: boolean): void {
    if (!this.queue) return;
    this.say(() => (power ? "the power fails" : "the queue is killed"));
    this.#queueLife.dead = true;
    this.queue = undefined;
    for (const { link } of [...this.peers]) link.cut();
    this.oracle.crashed();
    if (!power) return;
    for (const [
      mark,
      {
        queueId,
        numbers: [number = 0],
      },
    ] of this.outside.unflushed) {
      if (!(this.loses ?? this.random.chance(0.5))) continue;
      this.outside.marks.delete(mark);
      const recipient = this.oracle.recipient(queueId, number);
      if (recipient) recipient.copies--;
    }
    this.outside.unflushed.clear();
  }

  async stop(): Promise<void> {
    const queue = this.queue;
    if (!queue) return;
    this.say(() => "the queue is told to stop");
    await queue.stop();
    if (this.queue === queue) this.crash(false);
  }

  // What passes between the queue and the others.

  onSent(link: Link, { type, stream, payload }: Frame): void {
    if (type === settled.type) {
      this.oracle.settled(this.#answered.get(link)?.get(stream) ?? []);
      return;
    }
    const asked = type === deliverOptions.type ? deliverOptions.decode(payload) : undefined;
    const delivery = asked && this.#running.get(link)?.get(stream);
    if (asked && delivery) {
      delivery.asked = true;
      const notify = delivery.recipients.map((recipient) => recipient.notify);
      this.oracle.expect(
        notify.join() === asked.notify.join(),
        () => `NOTIFY goes out as ${asked.notify}, not ${notify}`,
      );
    }
    const fields = type === deliver.type ? deliver.decode(payload) : undefined;
    if (!fields || (link.name !== "local" && link.name !== "remote")) return;
    const { queueId, numbers, forwardPaths } = fields;
    this.say(() => `${link.name}: message ${queueId} for ${forwardPaths} (${numbers})`);
    const started = this.oracle.started(link.name, queueId, numbers, forwardPaths);
    const streams = this.#running.get(link) ?? new Map<number, Watched>();
    this.#running.set(
      link,
      streams.set(stream, { ...started, reports: new Map(), markers: [], copies: 0, takesDsn: false, asked: false }),
    );
  }

  onHeard(link: Link, { type, stream, payload }: Frame): void {
    const delivery = this.#running.get(link)?.get(stream);
    if (!delivery) return;
    if (type === forward.type) {
      const { prefix: marker, forwardPaths = [] } = forward.decode(payload) ?? {};
      delivery.copies += forwardPaths.length;
      if (marker && marker.length > 0) delivery.markers.push(Buffer.from(marker).toString("latin1").trim());
    } else if (type === relayed.type) {
      delivery.takesDsn = relayed.decode(payload)?.takesDsn === 1;
    } else if (type === report.type) {
      const fields = report.decode(payload);
      const { copies, takesDsn } = delivery;
      const forwards = delivery.markers.splice(0);
      if (fields) delivery.reports.set(fields.number, { letter: fields.letter, forwards, copies, takesDsn });
      Object.assign(delivery, { copies: 0, takesDsn: false });
    } else if (type === ended.type) {
      const { reached = 9 } = ended.decode(payload) ?? {};
      if (reached > 3) return;
      this.say(
        () =>
          `${link.name}: stream ${stream} ended, reached ${reached}: ${[...delivery.reports.values()].map((each) => each.letter)}`,
      );
      this.#running.get(link)?.delete(stream);
      const isOwed =
        delivery.channel === "remote" &&
        delivery.recipients.some(({ message, notify }) => message.hasOptions || notify > 0);
      this.oracle.expect(
        delivery.asked === isOwed,
        () => `${link.name}: what was asked ${isOwed ? "is kept back" : "goes too far"}`,
      );
      this.oracle.ended(delivery, reached, reached < 3 ? delivery.reports : undefined);
      const answered = this.#answered.get(link) ?? new Map<number, readonly Recipient[]>();
      this.#answered.set(link, answered.set(stream, delivery.recipients));
      this.#mutant.onEnded?.(link, stream);
    }
  }

  onClosed(link: Link): void {
    this.say(() => `${link.name}: the channel is gone`);
    for (const delivery of this.#running.get(link)?.values() ?? []) this.oracle.ended(delivery);
    this.#running.delete(link);
    this.#answered.delete(link);
    this.peers = this.peers.filter((peer) => peer.link !== link);
    const life = this.#queueLife; // only this queue gets a new one
    if (!life.dead) this.timeline.after(this.restartMs(), life, () => this.connect(link.name));
    this.oracle.quietSinceMs = this.timeline.steadyMs;
  }

  #log(event: Event): void {
    if (this.trace && event.event !== "status") this.say(() => `log: ${JSON.stringify(event)}`);
    if (event.event === "alert") this.oracle.quietSinceMs = this.timeline.steadyMs;
  }

  /** What came in is what goes out. */
  #checkBody(queueId: number, body: string): void {
    const message = this.oracle.messages.get(queueId);
    const mail = this.mails.get(tokenOf(body) ?? "");
    if (!message || message.reversePath === "" || message.reversePath === "#@[]") return;
    const isWhole = mail !== undefined && body === message.prefix + mail.body;
    this.oracle.expect(isWhole, () => `message ${queueId} is delivered with another body: ${body.slice(0, 200)}`);
  }
}

/** A change in one line, its octets as text. */
function describe(change: object): string {
  const short = (_: string, value: unknown): unknown => {
    if (typeof value !== "object" || value === null || !("type" in value) || value.type !== "Buffer") return value;
    return "data" in value && Array.isArray(value.data)
      ? Buffer.from(value.data.slice(0, 200)).toString("latin1")
      : value;
  };
  return JSON.stringify(change, short);
}
