import assert from "node:assert/strict";
import { test } from "node:test";
import { longestDeliveryMs } from "./oracle.ts";
import { play } from "./play.ts";
import { faults } from "./profile.ts";
import { Submitter } from "./submitter.ts";
import { dayMs, World } from "./world.ts";

const minuteMs = 60_000;
const hourMs = 3_600_000;

/** A world in which nothing goes wrong but what a test makes go wrong. */
class Scene {
  readonly world: World;
  isOver = false;
  #serial = 0;
  #checkedMs = 0;

  constructor(files: Readonly<Record<string, string>> = {}) {
    this.world = new World(1, { steps: 0, without: new Set(faults) });
    this.world.reload(this.world.settingsWith({ queuelifetime: "604800", delaywarning: "0", ...files }));
    this.world.disk.mood.mostMs = 5;
    this.world.manners.mostMs = 30;
    this.world.boot();
  }

  submit(...forwardPaths: readonly string[]): void {
    const submitter = this.world.peers.find((peer) => peer instanceof Submitter);
    const token = `Token: ${++this.#serial}`;
    const mail = { token, body: `${token}\n\n`, reversePath: "s@here.org", forwardPaths };
    this.world.mails.set(token, mail);
    if (!(submitter instanceof Submitter)) throw new Error("nobody takes mail");
    submitter.abandons = 0;
    submitter.submit(mail);
  }

  at(ms: number, call: () => void): void {
    this.world.timeline.after(ms - this.world.timeline.steadyMs, this.world.life, call);
  }

  /** All recipients there ever were at one domain. */
  recipientsAt(domain: string) {
    const all = this.world.oracle.messages.values().flatMap(({ recipients }) => recipients.values());
    return [...all].filter(
      ({ destination, forwardPath }) => destination === domain || forwardPath.endsWith(`@${domain}`),
    );
  }

  /** Until so long after the start, or until it is over. */
  async until(ms: number): Promise<void> {
    const { world } = this;
    await play(
      world,
      () => this.isOver || world.timeline.steadyMs >= ms,
      () => {
        if (world.timeline.steadyMs - this.#checkedMs < 10 * minuteMs) return;
        this.#checkedMs = world.timeline.steadyMs;
        world.oracle.checkPatience(new Set(world.peers.map(({ link }) => link.name)));
      },
    );
    assert.equal(world.oracle.violation, undefined);
  }
}

test("a destination dead for a week costs its own mail, at its time, and nobody else's", async () => {
  const scene = new Scene();
  const { outside } = scene.world;
  outside.down.add("d0.example");
  scene.submit("r@d0.example");
  for (let hour = 0; hour < 24 * 7; hour++) {
    scene.at(hour * hourMs + minuteMs, () => scene.submit("r@d1.example", "user0@here.org"));
  }
  // Tried after 0, 400, 1600, 3600 ... (20 n)^2 seconds; the first after a week is that of 608400 seconds, n = 39.
  await scene.until(608_300_000);
  const [dead] = scene.recipientsAt("d0.example");
  assert.deepEqual([dead?.state, dead?.attempts], ["queued", 39]);
  await scene.until(608_500_000);
  assert.equal(dead?.state, "failed");
  assert.deepEqual(
    scene.recipientsAt("d1.example").map(({ state, attempts }) => [state, attempts]),
    Array.from({ length: 24 * 7 }, () => ["delivered", 0]),
  );
  const bounces = scene.world.oracle.messages.values().filter(({ reversePath }) => reversePath === "");
  assert.equal(bounces.toArray().length, 1);
});

test("an hour without DNS delays mail, and no more", async () => {
  const scene = new Scene();
  const { outside, timeline } = scene.world;
  outside.dnsIsDown = true;
  // Tried 0, 400, 1600, 3600 seconds after birth: 1 + floor(sqrt(age) / 20) times, and within half a second.
  let looks = 0;
  const look = (): void => {
    for (const { attempts, message, forwardPath } of domains.flatMap((domain) => scene.recipientsAt(domain))) {
      const ageMs = timeline.wallMs - message.arrivedMs;
      assert.equal(attempts, 1 + Math.floor(Math.sqrt(ageMs / 1_000) / 20), `${forwardPath} after ${ageMs} ms`);
      looks++;
    }
    if (timeline.steadyMs < hourMs - 1_000) scene.at(timeline.steadyMs + 1_000, look);
  };
  const domains = ["d0.example", "d1.example", "d2.example", "d3.example"];
  scene.at(500, look);
  for (let minute = 0; minute < 60; minute++) {
    scene.at(minute * minuteMs, () => scene.submit(`r@d${minute % 4}.example`, "user0@here.org"));
  }
  await scene.until(hourMs);
  assert.ok(looks > 100_000);
  assert.equal(scene.recipientsAt("here.org").filter(({ state }) => state === "delivered").length, 60);
  assert.equal(scene.recipientsAt("d0.example").filter(({ state }) => state === "queued").length, 15);
  outside.dnsIsDown = false;
  await scene.until(2 * hourMs); // the longest wait at the age of an hour is 2800 seconds
  assert.equal(scene.world.oracle.messages.size, 60); // no bounce
  assert.equal(scene.world.oracle.alive.size, 0);
});

const crowds = [
  { name: "all places", recipients: 20, known: 2 * minuteMs },
  { name: "all places and all memory", recipients: 80, known: 20 * minuteMs },
] as const;
for (const crowd of crowds) {
  test(`destinations that answer nothing, and take ${crowd.name}, do not starve one that does`, () => starve(crowd));
}

/** `known`: how long healthy mail waits at most when it is known which destinations are silent. */
async function starve({ recipients, known }: { recipients: number; known: number }): Promise<void> {
  const places = 20;
  const silent = 150;
  const scene = new Scene({ concurrencyremote: String(places) });
  const { outside, timeline } = scene.world;
  outside.silentMs = 5 * minuteMs;
  const domains = Array.from({ length: silent }, (_, at) => `x${at}.example`);
  for (const domain of domains) outside.down.add(domain);
  for (let each = 0; each < recipients; each++) scene.submit(...domains.map((domain) => `r${each}@${domain}`));
  for (let turn = 1; turn <= 24; turn++) scene.at(turn * 10 * minuteMs, () => scene.submit("r@good.example"));
  // Whoever waits has every other place at least, so nobody waits longer than until each of the others was tried once.
  const turnMs = (1 + Math.ceil(silent / (places / 2))) * outside.silentMs;
  const boundMs = turnMs + 2 * minuteMs;
  let longestMs = 0;
  /** What came when it was known which destinations are silent. */
  let longestKnownMs = 0;
  const look = (): void => {
    for (const { state, message } of scene.recipientsAt("good.example")) {
      const waitsMs = state === "queued" ? timeline.wallMs - message.arrivedMs : 0;
      longestMs = Math.max(longestMs, waitsMs);
      if (timeline.steadyMs - waitsMs > 2 * turnMs) longestKnownMs = Math.max(longestKnownMs, waitsMs);
    }
    scene.at(timeline.steadyMs + minuteMs, look);
  };
  scene.at(minuteMs, look);
  await scene.until(5 * hourMs);
  assert.equal(scene.recipientsAt("good.example").filter(({ state }) => state === "delivered").length > 0, true);
  assert.ok(longestMs <= boundMs, `${longestMs / minuteMs} minutes, ${boundMs / minuteMs} are allowed`);
  assert.ok(longestKnownMs <= known, `${longestKnownMs / minuteMs} minutes when all is known`);
  assert.ok(boundMs < dayMs && outside.silentMs < longestDeliveryMs);
}
