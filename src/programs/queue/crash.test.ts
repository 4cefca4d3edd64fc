import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openSqliteStorage } from "../../services/storage/open-sqlite.ts";
import { value } from "../../services/storage/storage.testing.ts";
import { Deliverer, type Fate, settingsOf, startQueue } from "./queue.testing.ts";

const root = mkdtempSync(join(tmpdir(), "queue-"));
after(() => rmSync(root, { recursive: true }));

/** What a crash leaves on disk, at this very moment. */
function crashed(place: string): string {
  const copy = mkdtempSync(join(root, "q"));
  for (const name of readdirSync(place)) copyFileSync(join(place, name), join(copy, name));
  return copy;
}

/** Numbers that look random and are the same each time. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

const settings = settingsOf({ locals: "here.org", bouncehost: "here.org" });

for (const seed of [1, 2, 3, 4]) {
  test(`queue loses and repeats nothing over crashes, seed ${seed}`, async () => {
    const random = seeded(seed);
    /** Deliveries known to be done for good (`settled` seen) by message body and recipient; and all ever reported K. */
    const done = new Map<string, number>();
    const accepted: string[] = [];
    let place = mkdtempSync(join(root, "q"));
    let serial = 0;
    for (let life = 0; life < 6; life++) {
      const { storage } = value(await openSqliteStorage(place, 1));
      const { clock, queue, smtpd } = startQueue(storage, settings);
      const last = life === 5;
      const marks = new Set<string>();
      const fate = (forwardPath: string): Fate | undefined => {
        const roll = last ? 1 : random();
        if (roll < 0.2) return undefined;
        if (roll < 0.3) return { letter: "Z", text: "later\n" };
        if (!forwardPath.startsWith("fwd")) return { letter: "K" };
        const forwards = [{ reversePath: "s@here.org", prefix: "F: 1\n", forwardPaths: ["end@here.org"] }];
        return { letter: "K", forwards };
      };
      const local = new Deliverer(queue, "local", fate);
      const streams: { stream: number; name: string }[] = [];
      for (let n = 0; n < (last ? 0 : 20); n++) {
        const name = `message ${++serial}`;
        const to = n % 3 === 0 ? ["fwd@here.org", "user@here.org"] : ["user@here.org"];
        streams.push({ stream: smtpd.submit(`${name}\n`, to, "s@here.org"), name });
        if (random() < 0.3) await clock.settle();
      }
      if (last) {
        await clock.settle();
        await clock.advance(3_600_000);
      }
      for (const { stream, name } of streams) if (smtpd.answer(stream).id) accepted.push(name);
      place = crashed(place);
      for (const { settled, body, forwardPaths, name, numbers } of local.deliveries) {
        const key = `${name}R${numbers[0]}`;
        if (!settled || marks.has(key)) continue;
        marks.add(key);
        const what = `${/message \d+/.exec(body)?.[0]} to ${forwardPaths[0]}`;
        done.set(what, (done.get(what) ?? 0) + 1);
      }
      if (last) assert.deepEqual(value(await storage.counts()), { messages: 0, recipients: 0, held: 0 });
      await storage.close();
    }
    for (const name of accepted) {
      const forwarded = ((Number(name.slice(8)) - 1) % 20) % 3 === 0;
      assert.equal(done.get(`${name} to user@here.org`), 1, name);
      assert.equal(done.get(`${name} to fwd@here.org`), forwarded ? 1 : undefined, name);
      assert.equal(done.get(`${name} to end@here.org`), forwarded ? 1 : undefined, name);
    }
  });
}
