/**
 * What a message costs `smtpd`, and nothing else: the program as shipped but for its kernel walls, loaded by Postfix's
 * smtp-source, its peers played here. Several builds are measured in turns, for comparisons that bear a busy machine.
 *
 *   node bench/smtpd-bench.ts [--messages N] [--sessions N] [--octets N] [--rounds N] [--reuse] [--tls] [--auth] [BUILD...]
 *
 * BUILD is a dist folder; "BUILD#--flag --flag" is one run with more flags of Node's, --profile DIR writes CPU profiles.
 * With --tls by STARTTLS, loaded by the harness's smtp-load; with --auth a submission that is logged in, with TLS too.
 * Prints CPU microseconds a message: the median of the rounds, and the least of them, which other work disturbs least.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { readSettings } from "../src/protocol/control/parse.ts";
import {
  askRecipient,
  askSender,
  exists,
  recipientAnswer,
  saslBegin,
  saslEnd,
  senderAnswer,
} from "../src/protocol/wire/directory.ts";
import { bodyType, commit, stored, submissionCredit } from "../src/protocol/wire/submission.ts";
import { createChannel } from "../src/services/channel/channel.ts";
import { nodeFlags } from "../src/services/launch/node-flags.ts";
import type { Wall } from "../src/services/launch/plan.ts";
import { makeSelfSigned } from "../src/services/tls/self-signed.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    messages: { type: "string", default: "1000" },
    sessions: { type: "string", default: "20" },
    octets: { type: "string", default: "4096" },
    rounds: { type: "string", default: "15" },
    reuse: { type: "boolean", default: false },
    tls: { type: "boolean", default: false },
    auth: { type: "boolean", default: false },
    profile: { type: "string" },
  },
});
const top = join(import.meta.dirname, "..");
const builds = positionals.length > 0 ? positionals.map((path) => resolve(path)) : [join(top, "dist")];
const messages = Number(values.messages);
const speaksTls = values.tls || values.auth;
const account = "joe@example.test";
/** As long as a disk takes to flush: meanwhile more is committed. */
const flushMs = 2;
const tickUs = 10_000;

interface Cpu {
  readonly all: number;
  readonly system: number;
}

interface Smtpd extends AsyncDisposable {
  readonly port: number;
  cpuUs(): Cpu;
}

const folder = mkdtempSync(join(tmpdir(), "smtpd-bench-"));
const meeting = createServer().listen(join(folder, "peers"));

async function socketPair(): Promise<readonly [ours: Socket, theirs: Socket]> {
  const accepted = once(meeting, "connection");
  const theirs = connect(join(folder, "peers"));
  const [ours] = (await accepted) as [Socket];
  return [ours, theirs];
}

/** Takes every message, and says so after a flush for all that have come. */
function playQueue(socket: Socket): void {
  const committed: number[] = [];
  let last = 0;
  const flush = (): void => {
    for (const stream of committed.splice(0)) channel.send(stored.encode(stream, { queueId: ++last }));
  };
  const channel = createChannel(socket, {
    onFrame({ type, stream, payload }) {
      if (type === bodyType) channel.send(submissionCredit.encode(stream, { octets: payload.length }));
      if (type === commit.type && committed.push(stream) === 1) setTimeout(flush, flushMs);
      return undefined;
    },
    onClose() {},
  });
}

const none = Buffer.alloc(0);

function playDirectory(socket: Socket): void {
  const channel = createChannel(socket, {
    onFrame({ type, stream }) {
      if (type === askRecipient.type) channel.send(recipientAnswer.encode(stream, { answer: exists }));
      if (type === askSender.type) channel.send(senderAnswer.encode(stream, { answer: 1 }));
      if (type === saslBegin.type) {
        channel.send(saslEnd.encode(stream, { letter: "K", account, text: "", additional: none, ticket: none }));
      }
      return undefined;
    },
    onClose() {},
  });
}

/** Node profiles nobody whose permissions it watches. */
const profiled = (flags: readonly string[], into: string): readonly string[] => [
  ...flags.filter((flag) => flag !== "--permission" && !flag.startsWith("--allow-")),
  ...["--cpu-prof", `--cpu-prof-dir=${into}`],
];

async function start(buildAndMore: string): Promise<Smtpd> {
  const [build = "", more = ""] = buildAndMore.split("#");
  const listener = await new Promise<Server>((listening) => {
    const server = createServer().listen(0, "127.0.0.1", 511, () => listening(server));
  });
  const address = listener.address();
  if (!address || typeof address === "string") throw new Error("no port");
  const limits = { descriptors: 110_000, heapMiB: 192 };
  const wall: Wall = { read: [], write: [], network: "accept", ffi: false, kernel: "confined", limits };
  const shipped = nodeFlags({ program: "smtpd", node: process.execPath, code: build, wall });
  const flags = values.profile === undefined ? shipped : profiled(shipped, values.profile);
  const main = join(build, "programs/smtpd/main.js");
  const child = spawn(process.execPath, [...flags, ...more.split(" ").filter(Boolean), main], {
    // @ts-expect-error: a server's handle is passed as its descriptor
    stdio: ["ignore", "inherit", "inherit", "ipc", listener._handle.fd],
    env: { UV_USE_IO_URING: "0", PATH: process.env.PATH, TZ: "UTC" },
  });
  await once(child, "message");
  listener.close();
  // Before the start: it is ready when it has taken them.
  const plays = { queue: playQueue, directory: playDirectory, logger: (socket: Socket) => void socket.resume() };
  for (const [name, play] of Object.entries(plays)) {
    const [ours, theirs] = await socketPair();
    play(ours);
    child.send({ kind: "peer", name }, theirs);
  }
  const control = {
    me: "mx.example.test",
    locals: "example.test",
    defaultdelivery: "./",
    ...(values.auth ? { maxmessagesperaccount: "0", maxrecipientsperaccount: "0" } : { relayclients: "127.0.0.0/8" }),
  };
  const settings = readSettings(new Map(Object.entries(control)));
  if (settings.kind !== "done") throw new Error(settings.text);
  const ready = once(child, "message");
  const certificates = speaksTls ? [{ name: "default", ...makeSelfSigned([control.me], Date.now()) }] : [];
  const listeners = { [values.auth ? "submission" : "smtp"]: [4] };
  const facts = { ipAddresses: ["127.0.0.1"], processes: 1 };
  child.send({ kind: "start", settings: settings.value, listeners, facts, certificates });
  await ready;
  return {
    port: address.port,
    cpuUs: () => cpuUsOf(child),
    async [Symbol.asyncDispose]() {
      const gone = once(child, "exit");
      child.send({ kind: "stop" });
      await gone;
    },
  };
}

/** Of all its threads, to the nanosecond; and the system's part, in ticks. */
function cpuUsOf({ pid }: ChildProcess): Cpu {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  let ns = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    ns += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
  }
  return { all: ns / 1_000, system: Number(stat[12]) * tickUs };
}

/** What smtp-source does not speak. */
const tlsLoad = join(folder, "smtp-load");
if (speaksTls) {
  execFileSync("cc", ["-O2", "-o", tlsLoad, join(top, "bench/harness/src/smtp-load.c"), "-lssl", "-lcrypto"]);
}

async function loadByTls(port: number, count: number): Promise<void> {
  const { sessions, octets, reuse, auth } = values;
  const addresses = ["-f", auth ? account : "s@src.test", "-t", "user@example.test"];
  const args = [...(reuse ? ["-d"] : []), ...(auth ? ["-a", `${account}:pw`] : []), ...addresses];
  const source = spawn(tlsLoad, ["-T", "-s", sessions, "-l", octets, "-n", String(count), ...args, String(port)], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [code] = (await once(source, "exit")) as [number];
  if (code !== 0) throw new Error(`smtp-load: ${code}`);
}

async function load(port: number, count: number): Promise<void> {
  const { sessions, octets, reuse } = values;
  if (speaksTls) return loadByTls(port, count);
  const args = [...(reuse ? ["-d"] : []), "-s", sessions, "-l", octets, "-m", String(count), "-N"];
  const source = spawn("smtp-source", [...args, "-f", "s@src.test", "-t", "user@example.test", `127.0.0.1:${port}`], {
    stdio: ["ignore", "inherit", "inherit"],
    env: {
      PATH: `${process.env.PATH}:${join(top, ".cache/peers/usr/sbin")}`,
      LD_LIBRARY_PATH: join(top, ".cache/peers/usr/lib/postfix"),
    },
  });
  const [code] = (await once(source, "exit")) as [number];
  if (code !== 0) throw new Error(`smtp-source: ${code}`);
}

/** Half of the rounds were cheaper, or so much of them as `part` says. */
const quantile = (figures: readonly number[], part: number): string =>
  ([...figures].sort((a, b) => a - b)[Math.floor(figures.length * part)] ?? 0).toFixed(0).padStart(4);

const running: Smtpd[] = [];
for (const build of builds) running.push(await start(build));
const figures = builds.map(() => ({ all: [] as number[], system: [] as number[] }));
for (let round = -1; round < Number(values.rounds); round++) {
  for (const [at, smtpd] of running.entries()) {
    const before = smtpd.cpuUs();
    await load(smtpd.port, round < 0 ? 4_000 : messages);
    const after = smtpd.cpuUs();
    if (round < 0) continue; // warming up
    figures[at]?.all.push((after.all - before.all) / messages);
    figures[at]?.system.push((after.system - before.system) / messages);
  }
}
for (const [at, build] of builds.entries()) {
  const { all = [], system = [] } = figures[at] ?? {};
  const [least, quarter, median] = [0, 0.25, 0.5].map((part) => quantile(all, part));
  console.log(
    `${median} us a message (least ${least}, a quarter below ${quarter}), system ${quantile(system, 0.5)}   ${build}`,
  );
  if (at === 0) continue;
  // Rounds side by side had the same weather.
  const percents = all.map((us, round) => (100 * us) / (figures[0]?.all[round] ?? us));
  const [low, middle, high] = [0.25, 0.5, 0.75].map((part) => quantile(percents, part));
  console.log(`     ${middle} % of the first in the same round (half of the rounds within ${low} to ${high} %)`);
}
for (const smtpd of running) await smtpd[Symbol.asyncDispose]();
meeting.close();
rmSync(folder, { recursive: true });
