// Stands in a program's place, inside its walls, and tries everything. Reports { name: "done" | why not } and ends.
import { execFile, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import { Worker } from "node:worker_threads";

interface Targets {
  readonly folders: Readonly<Record<string, string>>;
  readonly code: string;
  readonly outside: string;
  readonly tcpPort: number;
  readonly udpPort: number;
  readonly unixPath: string;
  readonly abstractName: string;
  readonly otherPid: number;
}
type Attempt = () => unknown;

const targets: Targets = JSON.parse(process.argv[2] ?? "{}");
const passes: ReadonlyMap<string, () => Promise<Map<string, Attempt>>> = new Map([
  ["javascript", async () => javascriptAttempts()],
  ["native", nativeAttempts],
]);
const attempts = await passes.get(process.argv[3] ?? "")?.();
const results: Record<string, string> = {};
for (const [name, attempt] of attempts ?? []) {
  const { promise: thrown, reject } = Promise.withResolvers<never>();
  process.once("uncaughtException", reject); // so Node refuses some, much later
  try {
    await Promise.race([attempt(), thrown]);
    results[name] = "done";
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    results[name] = code ?? message;
  } finally {
    process.off("uncaughtException", reject);
  }
}
process.send?.(results, becomeAnother);

/** Last: where this is let, nobody is left to report. */
function becomeAnother(): void {
  try {
    process.execve?.("/bin/true", ["true"], {});
  } catch (error) {
    process.send?.({ ...results, "become another program": (error as NodeJS.ErrnoException).code }, () =>
      process.exit(0),
    );
  }
}

function javascriptAttempts(): Map<string, Attempt> {
  const { outside, code } = targets;
  const all = new Map<string, Attempt>([
    ["read own code", () => fs.readdirSync(code)],
    ["read /etc/passwd", () => fs.readFileSync("/etc/passwd")],
    ["read outside", () => fs.readFileSync(`${outside}/secret`)],
    ["read through a link in own code", () => fs.readFileSync(`${code}/way-out/secret`)],
    ["read another's environment", () => fs.readFileSync(`/proc/${targets.otherPid}/environ`)],
    ["write outside", () => fs.writeFileSync(`${outside}/evil-${process.pid}`, "")],
    ["write /tmp", () => fs.writeFileSync(`/tmp/evil-${process.pid}`, "")],
    ["write own code", () => fs.writeFileSync(`${code}/evil-${process.pid}`, "")],
    ["sqlite outside", () => openDatabase(`${outside}/evil-${process.pid}.db`)],
    ["connect by TCP", () => connected(net.connect(targets.tcpPort, "127.0.0.1"))],
    ["connect to a Unix socket", () => connected(net.connect(targets.unixPath))],
    ["connect to an abstract socket", () => connected(net.connect(`\0${targets.abstractName}`))],
    ["listen on TCP", () => listening(net.createServer(), { port: 0, host: "127.0.0.1" })],
    ["accept on an inherited listener", () => listening(net.createServer(), { fd: 4 })],
    ["send by UDP", sendDatagram],
    ["signal another process", () => process.kill(targets.otherPid, 0)],
    ["start a process", () => once(spawn("/bin/true"), "exit")],
    ["start Node", () => once(execFile(process.execPath, ["--version"]), "exit")],
    ["start a worker", () => once(new Worker("", { eval: true }), "exit")],
    ["evaluate a string", () => new Function("return 1")()],
    ["call libc", async () => (await import("node:ffi")).dlopen(null)],
  ]);
  for (const [place, folder] of Object.entries(targets.folders)) {
    all.set(`read ${place}`, () => fs.readFileSync(`${folder}/secret`));
    all.set(`write ${place}`, () => fs.writeFileSync(`${folder}/evil-${process.pid}`, ""));
    all.set(`read through a link in ${place}`, () => fs.readFileSync(`${folder}/way-out/secret`));
    all.set(`move out of ${place}`, () => fs.renameSync(`${folder}/secret`, `${outside}/moved-${process.pid}`));
    all.set(`sqlite in ${place}`, () => openDatabase(`${folder}/evil-${process.pid}.db`));
  }
  return all;
}

/** The same, and worse, as native code would: past Node's permission model. Negative results are errors here. */
async function nativeAttempts(): Promise<Map<string, Attempt>> {
  const { dlopen, getInt32, getRawPointer } = await import("node:ffi");
  const i64x7 = ["i64", "i64", "i64", "i64", "i64", "i64", "i64"] as const;
  const { functions: libc } = dlopen(null, {
    syscall: { arguments: i64x7, return: "i64" },
    fork: { arguments: [], return: "i32" },
    socket: { arguments: ["i32", "i32", "i32"], return: "i32" },
    open: { arguments: ["string", "i32", "i32"], return: "i32" },
    kill: { arguments: ["i32", "i32"], return: "i32" },
    ptrace: { arguments: ["i64", "i64", "i64", "i64"], return: "i64" },
    connect: { arguments: ["i32", "pointer", "u32"], return: "i32" },
    bind: { arguments: ["i32", "pointer", "u32"], return: "i32" },
    listen: { arguments: ["i32", "i32"], return: "i32" },
    fcntl: { arguments: ["i32", "i32", "i64"], return: "i32" },
    setresuid: { arguments: ["u32", "u32", "u32"], return: "i32" },
    __errno_location: { arguments: [], return: "pointer" },
  });
  const must = (result: number | bigint): number => {
    if (result < 0) throw new Error(`errno ${getInt32(libc.__errno_location())}`);
    return Number(result);
  };
  const arm = process.arch === "arm64";
  const call = (x64: number, arm64: number, ...values: (bigint | number)[]): number => {
    const [a = 0n, b = 0n, c = 0n, d = 0n, e = 0n, f = 0n] = values.map(BigInt);
    return must(libc.syscall(BigInt(arm ? arm64 : x64), a, b, c, d, e, f));
  };
  const address = (port: number): Buffer =>
    Buffer.from([2, 0, port >> 8, port & 255, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  const tcp = (): number => must(libc.socket(2, 1, 0));
  const [O_RDONLY, O_CREAT_WRONLY] = [0, 0o101];
  const path = Buffer.from("/bin/true\0");
  const all = new Map<string, Attempt>([
    ["read own code", () => must(libc.open(targets.code, O_RDONLY, 0))],
    ["read /etc/passwd", () => must(libc.open("/etc/passwd", O_RDONLY, 0))],
    ["read another's environment", () => must(libc.open(`/proc/${targets.otherPid}/environ`, O_RDONLY, 0))],
    ["read outside", () => must(libc.open(`${targets.outside}/secret`, O_RDONLY, 0))],
    ["read through a link in own code", () => must(libc.open(`${targets.code}/way-out/secret`, O_RDONLY, 0))],
    ["write outside", () => must(libc.open(`${targets.outside}/evil-${process.pid}`, O_CREAT_WRONLY, 0o600))],
    ["write /tmp", () => must(libc.open(`/tmp/evil-${process.pid}`, O_CREAT_WRONLY, 0o600))],
    ["write own code", () => must(libc.open(`${targets.code}/evil-${process.pid}`, O_CREAT_WRONLY, 0o600))],
    ["make a Unix socket", () => must(libc.socket(1, 1, 0))],
    ["make a netlink socket", () => must(libc.socket(16, 3, 0))],
    ["make a packet socket", () => must(libc.socket(17, 3, 0))],
    ["connect by TCP", () => must(libc.connect(tcp(), address(targets.tcpPort), 16))],
    ["bind TCP", () => must(libc.bind(tcp(), address(0), 16))],
    ["listen on TCP", () => must(libc.listen(tcp(), 1))],
    ["make a UDP socket", () => must(libc.socket(2, 2, 0))],
    ["connect an inherited listener elsewhere", () => must(libc.connect(4, address(targets.tcpPort), 16))],
    [
      "open a connection by sending",
      () => call(44, 206, 4, getRawPointer(path), 1, 0x20000000, getRawPointer(address(targets.tcpPort)), 16),
    ],
    ["signal itself", () => must(libc.kill(process.pid, 0))],
    ["signal another process", () => must(libc.kill(targets.otherPid, 0))],
    ["signal everybody", () => must(libc.kill(-1, 0))],
    ["signal by a descriptor's owner", () => must(libc.fcntl(0, 8, BigInt(targets.otherPid)))],
    ["limit another process", () => call(302, 261, targets.otherPid, 7, 0, getRawPointer(Buffer.alloc(16)))],
    ["trace another process", () => must(libc.ptrace(0x4206n, BigInt(targets.otherPid), 0n, 0n))],
    ["read another's memory", () => call(310, 270, targets.otherPid, 0, 0, 0, 0)],
    ["fork", () => must(libc.fork()) === 0 && process.exit(0)],
    ["fork by clone", () => call(56, 220, 17) === 0 && process.exit(0)],
    ["fork by clone3", () => call(435, 435, getRawPointer(Buffer.alloc(88)), 88) === 0 && process.exit(0)],
    ["execute", () => call(59, 221, getRawPointer(path), 0, 0)],
    ["execute by execveat", () => call(322, 281, -100, getRawPointer(path), 0, 0, 0)],
    ["become root", () => must(libc.setresuid(0, 0, 0)) + must(libc.open("/etc/shadow", O_RDONLY, 0))],
    ["new namespaces", () => call(272, 97, 0x10000000)],
    ["mount", () => call(165, 40, 0, 0, 0, 0, 0)],
    ["io_uring", () => call(425, 425, 1, getRawPointer(Buffer.alloc(120)))],
    ["bpf", () => call(321, 280, 0, 0, 0)],
    ["keyrings", () => call(250, 219, 0, -3, 1)],
    ["shared memory", () => call(29, 194, 1, 4096, 0o1600)],
    ["type on the terminal", () => call(16, 29, 0, 0x5412, getRawPointer(path))],
    ["calls of another machine mode", () => call(0x40000000 + 39, 9_999)],
  ]);
  for (const [place, folder] of Object.entries(targets.folders)) {
    all.set(`read ${place}`, () => must(libc.open(`${folder}/secret`, O_RDONLY, 0)));
    all.set(`write ${place}`, () => must(libc.open(`${folder}/evil-${process.pid}`, O_CREAT_WRONLY, 0o600)));
    all.set(`read through a link in ${place}`, () => must(libc.open(`${folder}/way-out/secret`, O_RDONLY, 0)));
  }
  return all;
}

async function openDatabase(path: string): Promise<void> {
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(path);
  database.exec("CREATE TABLE IF NOT EXISTS evil (it)");
  database.close();
}

async function connected(socket: net.Socket): Promise<void> {
  await once(socket, "connect");
  socket.destroy();
}

async function listening(server: net.Server, where: net.ListenOptions & { fd?: number }): Promise<void> {
  server.listen(where);
  await once(server, "listening");
  server.close();
}

async function sendDatagram(): Promise<void> {
  const socket = createSocket("udp4");
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.on("error", reject);
  socket.send("evil", targets.udpPort, "127.0.0.1", (error) => (error ? reject(error) : resolve()));
  await promise.finally(() => socket.close());
}
