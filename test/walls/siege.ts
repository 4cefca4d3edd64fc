// Puts the hostile code in every program's place, as the user this process is, and prints what it got away with.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { chmodSync, chownSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { makeFolders } from "../../src/programs/supervise/folders.ts";
import {
  type AccountName,
  accountNames,
  type Ids,
  type ProgramName,
  programNames,
  wallOf,
} from "../../src/programs/supervise/walls.ts";
import { listenTcp } from "../../src/services/kernel/sockets.ts";
import { launch } from "../../src/services/launch/launch.ts";
import type { LaunchPlan, Wall } from "../../src/services/launch/plan.ts";
import { embeddedLayout } from "../../src/services/layout/layout.ts";
import type { Targets } from "./attempt.ts";

export type Pass = "javascript" | "native";
/** Per program: what became of each attempt, "done" or why it was refused. */
export type Siege = Readonly<Record<string, Readonly<Record<string, string>>>>;

const longestMs = 30_000;
const [root = "", pass = "javascript", users = "one"] = process.argv.slice(2);

const layout = embeddedLayout(root);
const firstUid = 64_001;
const ids = new Map<AccountName, Ids>(
  accountNames.map((name, at) => [name, { uid: firstUid + at, gid: firstUid + at }]),
);
const differ = users === "many";
const recipient = { uid: 64_100, gid: 64_100 };

makeFolders(layout, differ ? ids : undefined);
const home = join(root, "home");
const outside = join(root, "outside");
const folders = { ...layout, home };
for (const folder of [home, outside]) mkdirSync(folder, { recursive: true });
if (differ) chownSync(home, recipient.uid, recipient.gid);
chmodSync(outside, 0o777);
writeFileSync(join(outside, "secret"), "");
chmodSync(join(outside, "secret"), 0o666);
writeFileSync(join(outside, "module.cjs"), "");
for (const folder of Object.values(folders)) {
  writeFileSync(join(folder, "secret"), "", { mode: 0o666 });
  chmodSync(join(folder, "secret"), 0o666);
  symlinkSync(outside, join(folder, "way-out"));
}
writeFileSync(join(root, "package.json"), '{"type":"module"}');
const code = join(root, "code");
for (const program of programNames) {
  const folder = join(code, "programs", program);
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(import.meta.dirname, "hostile.ts"), join(folder, "main.ts"));
  for (const part of ["javascript.ts", "native.ts"]) copyFileSync(join(import.meta.dirname, part), join(folder, part));
}
symlinkSync(outside, join(code, "way-out"));

const tcp = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
const unixPath = join(outside, "socket");
const abstractName = `postern-${process.pid}`;
const unix = createServer((socket) => socket.destroy()).listen(unixPath);
const abstract = createServer((socket) => socket.destroy()).listen(`\0${abstractName}`);
const udp = createSocket("udp4").bind(0, "127.0.0.1");
await Promise.all([tcp, unix, abstract, udp].map((one) => once(one, "listening")));
chmodSync(unixPath, 0o666);
const inherited = listenTcp("127.0.0.1", 0);
if (inherited.kind !== "done") throw new Error(inherited.text);
const tcpAddress = tcp.address();
const targets = {
  folders,
  code,
  outside,
  tcpPort: typeof tcpAddress === "object" ? (tcpAddress?.port ?? 0) : 0,
  udpPort: udp.address().port,
  unixPath,
  abstractName,
  otherPid: process.pid,
} satisfies Targets;

const siege: Siege = Object.fromEntries(
  await Promise.all(programNames.map(async (program) => [program, await besiege(program, inherited.value)] as const)),
);
process.stdout.write(JSON.stringify(siege), () => process.exit(0));

async function besiege(program: ProgramName, listener: number): Promise<Record<string, string>> {
  const plan: LaunchPlan = { node: process.execPath, code, program, wall: wallFor(program) };
  const stdio = ["ignore", "ignore", "inherit", "ipc", listener] as const;
  const child = launch(plan, { stdio, args: [JSON.stringify(targets), pass] });
  let results: Record<string, string> = {};
  child.on("message", (message) => {
    results = message as Record<string, string>;
  });
  const clock = setTimeout(() => child.kill("SIGKILL"), longestMs);
  const [[exitCode, signal]] = await Promise.all([once(child, "exit"), once(child, "disconnect")]);
  clearTimeout(clock);
  const ended = exitCode === 0 ? "as it liked" : `${exitCode ?? signal}`;
  return { "become another program": "done", ...results, ended };
}

/** The very wall of the table. For the native pass Node's own wall counts as fallen: the kernel's must do. */
function wallFor(program: ProgramName): Wall {
  const wall = wallOf(program, layout, differ ? ids : undefined);
  const isRecipients = program === "deliver" || program === "pop3session";
  const whole = isRecipients ? { ...wall, write: [home], ...(differ ? { user: recipient } : {}) } : wall;
  return pass === "native" ? { ...whole, ffi: true } : whole;
}
