/**
 * How many messages a second the queue takes in, hands to one local delivery each, and forgets, on one core with its
 * real store: node bench/queue-bench.ts [messages] [octets] [at once] [folder]. The other programs are played in the
 * same process, so their share of the time (frames made and read) is counted too.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../src/programs/queue/clock.ts";
import { createQueue } from "../src/programs/queue/queue.ts";
import { readSettings } from "../src/protocol/control/parse.ts";
import { bodyEnd, ended, report } from "../src/protocol/wire/delivery.ts";
import { createFrameReader, encodeFrame, type Frame } from "../src/protocol/wire/frame.ts";
import { bodyType, commit, open, recipients, stored } from "../src/protocol/wire/submission.ts";
import type { Channel, ChannelEvents } from "../src/services/channel/channel.ts";
import { openSqliteStorage } from "../src/services/storage/open-sqlite.ts";

const total = Number(process.argv[2] ?? 50_000);
const octets = Number(process.argv[3] ?? 4_096);
const atOnce = Number(process.argv[4] ?? 100);
const folder = mkdtempSync(join(process.argv[5] ?? tmpdir(), "queue-bench-"));

const settings = readSettings(new Map([["locals", "bench.example"]]));
const opened = await openSqliteStorage(folder, Date.now());
if (settings.kind !== "done" || opened.kind !== "done") throw new Error("cannot begin");
let logged = 0;
const queue = createQueue({
  storage: opened.value.storage,
  clock: systemClock,
  settings: settings.value,
  log: (event) => {
    logged += JSON.stringify({ timeMs: Date.now(), program: "queue", ...event }).length;
  },
  uid: 0,
});

/** A peer whose frames both ways go in one piece for each turn of the loop, as through a socket. */
function connect(
  name: string,
  onFrame: (frame: Frame, send: (octets: Buffer) => void) => void,
): (octets: Buffer) => void {
  let events: ChannelEvents | undefined;
  const pipe = (deliver: (frame: Frame) => void) => {
    const read = createFrameReader();
    let gathered: Buffer[] = [];
    return (frame: Buffer): void => {
      if (gathered.push(frame) > 1) return;
      setImmediate(() => {
        const chunk = Buffer.concat(gathered);
        gathered = [];
        const frames = read(chunk);
        if (frames !== "broken") for (const each of frames) deliver(each);
      });
    };
  };
  const toQueue = pipe((frame) => void events?.onFrame(frame));
  const fromQueue = pipe((frame) => onFrame(frame, toQueue));
  queue.connect(name, (given) => {
    events = given;
    const pass: Channel["pass"] = (...frame) => fromQueue(encodeFrame(...frame));
    return { send: fromQueue, pass, flush() {}, pendingOctets: 0, close: () => {} };
  });
  return toQueue;
}

const body = Buffer.from(`Subject: bench\n\n${"x".repeat(62)}\n`.repeat(Math.ceil(octets / 80)).slice(0, octets));
const finished = Promise.withResolvers<void>();
let accepted = 0;
let delivered = 0;
let acceptedMs = 0;
let given = 0;
const submit = (send: (octets: Buffer) => void): void => {
  const stream = given++;
  send(open.encode(stream, {}));
  send(encodeFrame(bodyType, stream, body));
  send(recipients.encode(stream, { forwardPaths: [`user${stream % 50}@bench.example`] }));
  send(commit.encode(stream, { reversePath: "sender@example.org", bodyKind: 0, uid: 7 }));
};
connect("local", (frame, send) => {
  if (frame.type !== bodyEnd.type) return;
  send(report.encode(frame.stream, { number: 0, letter: "K", status: "", text: "did 1+0+0\n" }));
  send(ended.encode(frame.stream, { reached: 1 }));
  if (++delivered === total) finished.resolve();
});
const startMs = performance.now();
const startCpu = process.cpuUsage();
const toQueue = connect("smtpd", (frame, send) => {
  if (frame.type !== stored.type) return;
  if (++accepted === total) acceptedMs = performance.now() - startMs;
  if (given < total) submit(send);
});
for (let n = 0; n < atOnce; n++) submit(toQueue);
await finished.promise;
await queue.stop();

const elapsedMs = performance.now() - startMs;
const { user, system } = process.cpuUsage(startCpu);
const perSecond = (ms: number): string => Math.round((total / ms) * 1_000).toLocaleString("en");
process.stdout.write(
  `${total} messages of ${octets} octets, ${atOnce} at once: accepted ${perSecond(acceptedMs)}/s, delivered ` +
    `${perSecond(elapsedMs)}/s; CPU ${((user + system) / total).toFixed(1)} us a message (${(system / total).toFixed(1)} ` +
    `in the kernel); log ${Math.round(logged / total)} octets a message; RSS ${Math.round(process.memoryUsage().rss / 1e6)} MB\n`,
);
rmSync(folder, { recursive: true });
