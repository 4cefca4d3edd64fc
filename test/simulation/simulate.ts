import { noOptions } from "../../src/protocol/wire/submission.ts";
import { play } from "./play.ts";
import type { Fault } from "./profile.ts";
import { type Mail, Submitter } from "./submitter.ts";
import { dayMs, type Options, World } from "./world.ts";

/** How one run went. */
export interface Run {
  readonly violation: string | undefined;
  /** Messages the queue had, forwards and bounces included. */
  readonly messages: number;
  readonly recipients: number;
  readonly crashes: number;
  readonly events: number;
  readonly simulatedMs: number;
}

const patienceCheckMs = 600_000;
/** Once all is well again everything must end within this: the longest wait there is, after a clock set by decades. */
const calmMs = 30 * dayMs;

const localAddresses = ["user0", "user1", "user2", "user3", "fwd0", "fwd1", "fwd2", "bad"] as const;
const domains = ["d0.example", "d1.example", "d2.example", "d3.example"] as const;
const manyDomains = ["b0.example", ...Array.from({ length: 39 }, (_, at) => `b${at + 1}.example`)] as const;
const jumpsMs = [30_000, 90_000, 3_600_000, dayMs, 30 * dayMs, 3_650 * dayMs] as const;
const floodMessages = 130;
const floodRecipients = 100;
const maxJumpedMs = 7_300 * dayMs;

/** Runs one world from one seed: so many steps of whatever may happen, then calm, in which all must come right. */
export async function simulate(seed: number, options: Options): Promise<Run> {
  const world = new World(seed, options);
  const driver = new Driver(world, options);
  const { oracle, timeline } = world;
  driver.begin();
  const events = await play(world, () => driver.isDone);
  world.crash(false);
  if (oracle.violation) world.say(() => `VIOLATION: ${oracle.violation}`);
  const recipients = oracle.messages.values().reduce((sum, message) => sum + message.recipients.size, 0);
  const { violation, messages } = oracle;
  const { crashes } = driver;
  return { violation, messages: messages.size, recipients, crashes, events, simulatedMs: timeline.steadyMs };
}

/** Decides what happens next. */
class Driver {
  isDone = false;
  crashes = 0;
  readonly #world: World;
  readonly #floods: boolean;
  #left: number;
  #serial = 0;
  #operating = 0;
  #calmSinceMs: number | undefined;
  #wasEmpty = false;
  #lookedMs = 0;

  constructor(world: World, { steps, flood = false }: Options) {
    this.#world = world;
    this.#left = steps;
    this.#floods = flood;
  }

  begin(): void {
    this.#world.boot();
    if (this.#floods) this.#flood();
    this.#backlog();
    this.#next();
  }

  #next(): void {
    const { timeline, random, life, profile } = this.#world;
    const gapMs = this.#calmSinceMs === undefined ? -Math.log(1 - random.next()) * profile.gapMs : patienceCheckMs;
    timeline.after(gapMs, life, () => this.#step());
  }

  #step(): void {
    const { timeline, oracle, disk, peers } = this.#world;
    if (timeline.steadyMs - this.#lookedMs >= patienceCheckMs) {
      this.#lookedMs = timeline.steadyMs;
      const { full, broken } = disk.mood;
      if (full || broken) oracle.quietSinceMs = timeline.steadyMs;
      oracle.checkPatience(new Set(peers.map(({ link }) => link.name)));
    }
    if (this.#calmSinceMs !== undefined) this.#beCalm(this.#calmSinceMs);
    else if (this.#left-- > 0) this.#act();
    else this.#calmDown();
    if (!this.isDone) this.#next();
  }

  #act(): void {
    this.#submit();
    this.#setManners();
    for (const [fault, rate] of this.#world.profile.rates) {
      if (this.#world.random.chance(rate * 0.2)) this.#actions[fault]?.();
    }
  }

  #setManners(): void {
    const { manners, random, disk, rate } = { ...this.#world, rate: (fault: Fault) => this.#world.rate(fault) };
    const now = (fault: Fault) => (random.chance(0.5) ? rate(fault) : 0);
    Object.assign(manners, { defer: now("defer"), reject: now("reject"), hang: now("hang") * 0.2 });
    Object.assign(manners, { lie: now("lie") * 0.03, breakOff: now("breakOff") * 0.02 });
    disk.mood.readFailure = now("reads") * 0.3;
  }

  readonly #actions: Partial<Record<Fault, () => void>> = {
    crash: () => this.#crash(false),
    power: () => this.#crash(true),
    restart: () => this.#restart(),
    break: () => this.#break(),
    full: () => this.#trouble("full"),
    broken: () => this.#trouble("broken"),
    jump: () => this.#jump(),
    operator: () => this.#operate(),
    reload: () => this.#reload(),
    down: () => this.#down(),
    dns: () => this.#dns(),
    silence: () => this.#silence(),
  };

  #later(mostMs: number, call: () => void): void {
    const { timeline, random, life } = this.#world;
    timeline.after(random.next() * mostMs, life, call);
  }

  #submit(): void {
    const { peers, random, profile } = this.#world;
    const [first, ...others] = peers.filter((peer) => peer instanceof Submitter && peer.isAlive);
    if (!first) return;
    for (let count = random.below(profile.burst + 1); count > 0; count--) {
      const isLarge = random.chance(this.#world.rate("large") * 0.05);
      const mail = this.#mail(this.#envelope(), isLarge ? 10_000 + random.below(50_000) : 0);
      const submitter = random.pick([first, ...others]);
      if (submitter instanceof Submitter) this.#later(profile.gapMs, () => submitter.submit(mail));
    }
  }

  #mail(envelope: { reversePath: string; forwardPaths: string[] }, repetitions: number): Mail {
    const token = `Token: ${++this.#serial}`;
    const body = `${token}\n${`${this.#serial} `.repeat(repetitions)}\n`;
    const mail = { token, body, ...envelope, ...this.#wishes(envelope.forwardPaths) };
    this.#world.mails.set(token, mail);
    return mail;
  }

  /** Some ask for reports, for haste, for later. */
  #wishes(forwardPaths: readonly string[]): Pick<Mail, "notify" | "options"> {
    const { random, timeline } = this.#world;
    if (random.chance(0.6)) return {};
    const notify = forwardPaths.map(() => random.pick([0, 0, 1, 1, 2, 3, 4, 7, 8]));
    if (random.chance(0.6)) return { notify };
    const holdUntilMs = random.chance(0.3) ? timeline.wallMs + random.pick([60_000, 3_600_000, dayMs]) : 0;
    return { notify, options: { ...noOptions, holdUntilMs, priority: random.below(19) } };
  }

  #flood(): void {
    const submitter = this.#world.peers.find((peer) => peer instanceof Submitter);
    for (let message = 0; message < floodMessages; message++) {
      const forwardPaths = Array.from({ length: floodRecipients }, (_, at) => `f${message}@f${at}.example`);
      const mail = this.#mail({ reversePath: "s@here.org", forwardPaths }, 0);
      if (submitter instanceof Submitter) submitter.submit(mail);
    }
  }

  /** Mail for many destinations, some of which cannot be reached for days. */
  #backlog(): void {
    const { peers, profile, random, outside } = this.#world;
    const submitter = peers.find((peer) => peer instanceof Submitter);
    for (const domain of profile.backlog > 0 ? manyDomains : []) {
      if (random.chance(0.6)) continue;
      outside.down.add(domain);
      this.#later(3 * dayMs, () => outside.down.delete(domain));
    }
    for (let count = profile.backlog; count > 0 && submitter instanceof Submitter; count--) {
      const forwardPaths = Array.from({ length: 1 + random.below(3) }, () => `r@${random.pick(manyDomains)}`);
      const mail = this.#mail({ reversePath: "s@here.org", forwardPaths }, 0);
      this.#later(1_000, () => submitter.submit(mail));
    }
  }

  #envelope(): { reversePath: string; forwardPaths: string[] } {
    const { random } = this.#world;
    const reversePath = random.pick([
      "s@here.org",
      "s@here.org",
      "r@d1.example",
      "bad@here.org",
      "",
      "#@[]",
      "v-@here.org-@[]",
    ]);
    const count = random.chance(0.6) ? 1 : 1 + random.below(random.chance(0.1) ? 30 : 4);
    const forwardPaths = Array.from({ length: count }, () =>
      random.chance(0.6) ? `${random.pick(localAddresses)}@here.org` : `r${random.below(9)}@${random.pick(domains)}`,
    );
    return { reversePath, forwardPaths };
  }

  #crash(power: boolean): void {
    const { random } = this.#world;
    // At any moment, also between two steps.
    this.#later(this.#world.profile.gapMs, () => {
      if (!this.#world.isUp) return;
      this.crashes++;
      this.#world.crash(power);
      this.#later(random.chance(0.05) ? 3 * dayMs : 5_000, () => this.#boot());
    });
  }

  #boot(): void {
    if (!this.#world.isUp) this.#world.boot();
  }

  #restart(): void {
    void this.#world.stop().then(() => this.#boot());
  }

  #break(): void {
    const { random, peers } = this.#world;
    const [first, ...others] = peers;
    if (!first) return;
    random.pick([first, ...others]).die();
  }

  #trouble(kind: "full" | "broken"): void {
    const { disk, oracle, timeline, random } = this.#world;
    if (disk.mood[kind]) return;
    this.#world.say(() => `the disk is ${kind}`);
    disk.mood[kind] = true;
    this.#later(random.pick([100, 5_000, 3_600_000]), () => {
      disk.mood[kind] = false;
      oracle.quietSinceMs = timeline.steadyMs;
    });
  }

  #jump(): void {
    const { timeline, random, oracle } = this.#world;
    const jumpMs = random.pick(jumpsMs) * (random.chance(0.5) ? 1 : -1);
    if (Math.abs(timeline.jumpedMs + jumpMs) > maxJumpedMs) return;
    this.#world.say(() => `the clock is set by ${jumpMs / 1_000} s`);
    oracle.clockIsSet(jumpMs);
    timeline.jumpedMs += jumpMs;
  }

  #operate(): void {
    const { queue, oracle, random } = this.#world;
    const [first, ...others] = [...new Set(oracle.open.values().map(({ message }) => message.id))];
    if (!queue || first === undefined) return;
    const command = random.pick(["list", "show", "count", "retry", "hold", "release", "delete"]);
    const ids = Array.from({ length: 1 + random.below(3) }, () => random.pick([first, ...others]));
    const all = [
      {},
      { destination: random.pick(domains) },
      { sender: "@here.org" },
      { recipient: "@d1.example" },
    ] as const;
    const filter = command === "delete" || random.chance(0.7) ? { ids } : random.pick(all);
    if (command === "delete") for (const id of ids) oracle.deletable.add(id);
    void this.#ask(command, filter).then((isAlone) => {
      if (isAlone && command === "hold" && "ids" in filter) oracle.checkHeld(ids);
      if (isAlone && command === "delete") oracle.checkDeleted(ids);
    });
  }

  /** Whether it was answered well, and no other request was under way in the meantime. */
  async #ask(command: string, filter: object): Promise<boolean> {
    const { queue, say } = { queue: this.#world.queue, say: (text: () => string) => this.#world.say(text) };
    const request = JSON.stringify({ command, filter });
    say(() => `operator: ${request}`);
    let isDone = false;
    const { fortunes } = this.#world.oracle;
    const before = ++this.#operating;
    if (command === "retry") fortunes.operating();
    await queue?.operate(request, 0, async (lines) => {
      isDone = "end" in Object(lines.at(-1));
    });
    if (command === "retry") fortunes.operated();
    say(() => `operator: ${request} is answered${isDone ? "" : " with an error"}`);
    return isDone && this.#operating++ === before;
  }

  #reload(): void {
    const { random } = this.#world;
    const settings = this.#world.settingsWith({
      concurrencylocal: random.pick(["1", "5", "100"]),
      concurrencyremote: random.pick(["1", "5", "100"]),
      concurrencydestination: random.pick(["1", "2", "20"]),
      maxtransactionrecipients: random.pick(["1", "3", "100"]),
      bouncemaxbytes: random.pick(["0", "50000"]),
      bounceformat: random.pick(["dsn", "qsbmf"]),
    });
    this.#world.say(() => "reload");
    this.#world.reload(settings);
  }

  #down(): void {
    const { random, outside } = this.#world;
    const domain = random.pick(domains);
    this.#world.say(() => `${domain} goes down`);
    outside.down.add(domain);
    this.#later(random.pick([10_000, 3_600_000, 2 * dayMs, 9 * dayMs]), () => outside.down.delete(domain));
  }

  #dns(): void {
    const { random, outside } = this.#world;
    if (outside.dnsIsDown) return;
    this.#world.say(() => "names cannot be looked up");
    outside.dnsIsDown = true;
    this.#later(random.pick([10_000, 3_600_000, 2 * dayMs]), () => {
      outside.dnsIsDown = false;
    });
  }

  /** Nothing happens for hours. */
  #silence(): void {
    this.#left = Math.max(0, this.#left - 1);
    const { timeline, life, random } = this.#world;
    timeline.after(random.next() * dayMs, life, () => this.#calmSinceMs === undefined && this.#act());
  }

  #calmDown(): void {
    const { timeline, manners, outside, disk, oracle } = this.#world;
    this.#world.say(() => "from here on all is well");
    Object.assign(manners, { defer: 0, reject: 0, hang: 0, lie: 0, breakOff: 0 });
    outside.down.clear();
    outside.dnsIsDown = false;
    Object.assign(disk.mood, { full: false, broken: false, readFailure: 0 });
    oracle.quietSinceMs = timeline.steadyMs;
    this.#calmSinceMs = timeline.steadyMs;
  }

  #beCalm(sinceMs: number): void {
    const { timeline, oracle } = this.#world;
    if (!this.#world.isUp) this.#boot();
    if (oracle.alive.values().some(({ held }) => held)) void this.#ask("release", {});
    // One that was asked to wait for a day, just before the clock was set back, waits for longer: as long as it was told.
    const waiting = oracle.alive.values().find(({ bornMs, arrivedMs }) => bornMs - arrivedMs <= 2 * dayMs);
    if (!waiting && this.#wasEmpty) {
      oracle.checkEnd();
      if (this.#world.queue) oracle.checkEmpty(this.#world.queue.sizes());
      this.isDone = true;
    }
    this.#wasEmpty = !waiting; // on disk; it may take a moment to get around
    const tooLong = timeline.steadyMs - sinceMs > calmMs;
    oracle.expect(!tooLong, () => `message ${waiting?.id} has not ended though all was well for days`);
  }
}
