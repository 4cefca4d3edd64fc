/**
 * Local delivery alone: this script plays `supervise` and `queue` to one `local`, which starts `deliver` as in
 * production, walls included.
 *
 *   node bench/deliver-bench.ts [--code dist] [--messages 20000] [--octets 4096] [--mailboxes 100] [--parallel 100]
 *
 * Prints messages a second into Maildirs, flushed, and the processor time of each process for a message.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { wallOf } from "../src/programs/supervise/walls.ts";
import { readSettings } from "../src/protocol/control/parse.ts";
import { bodyEnd, deliver, deliveryBodyType, ended, report, settled } from "../src/protocol/wire/delivery.ts";
import { encodeFrame } from "../src/protocol/wire/frame.ts";
import { createChannel } from "../src/services/channel/channel.ts";
import type { launch as Launch } from "../src/services/launch/launch.ts";
import { embeddedLayout } from "../src/services/layout/layout.ts";

const { values } = parseArgs({
  options: {
    code: { type: "string", default: "dist" },
    messages: { type: "string", default: "20000" },
    octets: { type: "string", default: "4096" },
    mailboxes: { type: "string", default: "100" },
    parallel: { type: "string", default: "100" },
    folder: { type: "string", default: tmpdir() },
  },
});
const messages = Number(values.messages);
const mailboxes = Number(values.mailboxes);
const body = Buffer.from(`Subject: bench\n\n${"x".repeat(71)}\n`.padEnd(Number(values.octets) - 1, "y"));

const root = mkdtempSync(join(resolve(values.folder), "postern-deliver-bench-"));
const layout = embeddedLayout(root);
for (const folder of Object.values(layout)) mkdirSync(folder, { mode: 0o700 });
const code = resolve(values.code);
const plan = (program: "local" | "deliver" | "pop3session") => ({
  node: process.execPath,
  code,
  program,
  wall: wallOf(program, layout),
});
const settings = readSettings(new Map([["mailboxdomains", "localhost:create\n"]]));
if (settings.kind !== "done") throw new Error(settings.text);

// The compiled one starts compiled programs.
const { launch }: { launch: typeof Launch } = await import(join(code, "services/launch/launch.js"));
const launcher = launch(plan("local"), { stdio: ["ignore", "ignore", "inherit", "ipc"] });
await new Promise((ready) => launcher.once("message", ready));
const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
launcher.send({
  kind: "start",
  settings: settings.value,
  listeners: {},
  facts: {
    embedded: true,
    mailFolder: layout.mail,
    usersFolder: layout.users,
    accountsFile: join(root, "accounts.cdb"),
    mailUser: self,
    aliasUser: { ...self, name: "alias", home: layout.alias },
    deliver: plan("deliver"),
    pop3session: plan("pop3session"),
  },
});
await new Promise((ready) => launcher.once("message", ready));

const { near, far } = await connectedSockets(join(root, "pair"));
launcher.send({ kind: "peer", name: "queue" }, far);

let started = 0;
let finished = 0;
const failures = new Map<string, number>();
const allDone = Promise.withResolvers<void>();
const channel = createChannel(near, {
  onFrame(frame) {
    if (frame.type === report.type) {
      const fields = report.decode(frame.payload);
      if (fields?.letter !== "K") failures.set(fields?.text ?? "", (failures.get(fields?.text ?? "") ?? 0) + 1);
    }
    if (frame.type !== ended.type) return undefined;
    channel.send(settled.encode(frame.stream, {}));
    finished++;
    if (started < messages) sendNext();
    else if (finished === messages) allDone.resolve();
    return undefined;
  },
  onClose: (why) => allDone.reject(new Error(why)),
});

function sendNext(): void {
  const id = ++started;
  const fields = { queueId: id, name: `bench${id}`, arrivedMs: 0, octets: body.length, bodyKind: 0, attempt: 1 };
  const forwardPaths = [`user${id % mailboxes}@localhost`];
  channel.send(deliver.encode(id, { ...fields, reversePath: "a@example.org", numbers: [1], forwardPaths }));
  channel.send(encodeFrame(deliveryBodyType, id, body));
  channel.send(bodyEnd.encode(id, {}));
}

const warmUp = Math.min(messages, mailboxes);
const startedMs = performance.now();
for (let n = 0; n < Math.min(Number(values.parallel), messages); n++) sendNext();
await allDone.promise;
const seconds = (performance.now() - startedMs) / 1_000;

const children = readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && parentOf(pid) === launcher.pid);
const [worker = ""] = children;
console.log(
  `${messages} messages of ${body.length} octets into ${warmUp} Maildirs: ${Math.round(messages / seconds)} a second`,
);
console.log(
  `local ${microseconds(String(launcher.pid))} us, deliver ${microseconds(worker)} us of processor a message (user+system, starting included)`,
);
const stored = Array.from({ length: warmUp }, (_, n) =>
  readdirSync(join(layout.mail, "localhost", `user${n}`, "Maildir/new")),
);
const left = Array.from({ length: warmUp }, (_, n) =>
  readdirSync(join(layout.mail, "localhost", `user${n}`, "Maildir/tmp")),
);
console.log(
  `stored ${stored.flat().length}, marks left ${left.flat().length}, failures ${JSON.stringify([...failures])}`,
);
launcher.send({ kind: "stop" });
await new Promise((gone) => launcher.once("exit", gone));
near.destroy();
rmSync(root, { recursive: true });

function parentOf(pid: string): number {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[1]);
  } catch {
    return 0;
  }
}

/** User and system time of a process for a message; the kernel counts hundredths of a second. */
function microseconds(pid: string): string {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  const each = (ticks: string | undefined): number => Math.round((Number(ticks) * 10_000) / messages);
  return `${each(fields[11])}+${each(fields[12])}`;
}

async function connectedSockets(path: string): Promise<{ near: Socket; far: Socket }> {
  const accepted = Promise.withResolvers<Socket>();
  const server = createServer({ pauseOnConnect: true }, accepted.resolve).listen(path);
  const near = connect(path);
  const far = await accepted.promise;
  server.close();
  return { near, far };
}
