import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { duplexPair } from "node:stream";
import { afterEach, beforeEach, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { bodyEnd, deliveryBodyType, report, settled } from "../../protocol/wire/delivery.ts";
import { encodeFrame } from "../../protocol/wire/frame.ts";
import { abandon, homeGiven, task } from "../../protocol/wire/worker.ts";
import { type Channel, createChannel } from "../../services/channel/channel.ts";
import { realGround } from "./ground.ts";
import { serveDeliveries } from "./serve.ts";

let home = "";
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "postern-deliver-"));
});
afterEach(() => rmSync(home, { recursive: true }));

/** The end of `local`: what was reported, by stream. And those who wait, in their order: the test is the clock. */
interface Stage {
  readonly local: Channel;
  readonly reports: Map<number, string>;
  readonly waiting: { readonly go: () => void; readonly signal: AbortSignal }[];
}

function createStage(): Stage {
  const [near, far] = duplexPair();
  const waiting: Stage["waiting"] = [];
  const wait = (_: number, signal: AbortSignal): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => reject(signal.reason));
    waiting.push({ go: resolve, signal });
    return promise;
  };
  serveDeliveries(far, () => {}, { ...realGround(), wait });
  const reports = new Map<number, string>();
  const local = createChannel(near, {
    onFrame({ type, stream, payload }) {
      if (type === report.type) reports.set(stream, report.decode(payload)?.letter ?? "");
      return undefined;
    },
    onClose() {},
  });
  return { local, reports, waiting };
}

const body = "Subject: x\n\nbody\n";

/** The message into ~/box. */
function send({ local }: Stage, stream: number, name = "m1"): void {
  const message = { name, number: 1, octets: body.length, reversePath: "a@b" };
  const place = {
    user: "joe",
    home,
    homeKind: homeGiven,
    local: "joe",
    domain: "example.org",
    dash: "",
    extension: "",
    quota: "",
    fullIsPermanent: 0,
  };
  local.send(task.encode(stream, { ...message, ...place, defaultDelivery: "./box", host: "mx" }));
  local.send(encodeFrame(deliveryBodyType, stream, Buffer.from(body, "latin1")));
  local.send(bodyEnd.encode(stream, {}));
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

test("a delivery that was abandoned while it waited for a lock does not go on: it was repeated meanwhile", async () => {
  const stage = createStage();
  const { local, reports, waiting } = stage;
  const lock = join(home, "box.lock");
  writeFileSync(lock, "");
  send(stage, 1);
  await until(() => waiting.length === 1);
  local.send(abandon.encode(1, {}));
  send(stage, 2);
  await until(() => waiting.length === 2);
  rmSync(lock);
  waiting[1]?.go();
  await until(() => reports.has(2));
  local.send(settled.encode(2, {}));
  send(stage, 3, "m2");
  await until(() => reports.has(3));
  waiting[0]?.go();
  await turn();
  const entries = readFileSync(join(home, "box"), "latin1").match(/^From /gm);
  assert.equal(entries?.length, 2, "m1 and m2");
  local.close();
});
