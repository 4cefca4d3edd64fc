import { execFile, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import fs from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import v8 from "node:v8";
import { Worker } from "node:worker_threads";
import type { Attempts, Targets } from "./attempt.ts";

/** All that JavaScript can try. */
export function javascriptAttempts(targets: Targets): Attempts {
  const { outside, code } = targets;
  const mine = `evil-${process.pid}`;
  const all: Attempts = new Map<string, () => unknown>([
    ["read own code", () => fs.readdirSync(code)],
    ["read /etc/passwd", () => fs.readFileSync("/etc/passwd")],
    ["read outside", () => fs.readFileSync(`${outside}/secret`)],
    ["list outside", () => fs.readdirSync(outside)],
    ["see what is outside", () => fs.statSync(`${outside}/secret`)],
    ["read through a link in own code", () => fs.readFileSync(`${code}/way-out/secret`)],
    ["read another's environment", () => fs.readFileSync(`/proc/${targets.otherPid}/environ`)],
    ["read another's memory", () => fs.openSync(`/proc/${targets.otherPid}/mem`, "r")],
    ["list processes", () => fs.readdirSync("/proc")],
    ["go outside", () => process.chdir(outside)],
    ["write outside", () => fs.writeFileSync(`${outside}/${mine}`, "")],
    ["write /tmp", () => writeAndRemove(`/tmp/${mine}`)],
    ["write own code", () => fs.writeFileSync(`${code}/${mine}`, "")],
    ["change a mode outside", () => fs.chmodSync(`${outside}/secret`, 0o666)],
    ["change times outside", () => fs.utimesSync(`${outside}/secret`, 0, 0)],
    ["link a file of ours outside", () => fs.linkSync(`${code}/package.json`, `${outside}/link-${process.pid}`)],
    ["write a report outside", () => written(process.report.writeReport(`${outside}/report-${process.pid}`))],
    ["write a heap snapshot outside", () => v8.writeHeapSnapshot(`${outside}/heap-${process.pid}`)],
    ["sqlite outside", () => openDatabase(`${outside}/${mine}.db`)],
    ["connect by TCP", () => connected(net.connect(targets.tcpPort, "127.0.0.1"))],
    ["connect to a Unix socket", () => connected(net.connect(targets.unixPath))],
    ["connect to an abstract socket", () => connected(net.connect(`\0${targets.abstractName}`))],
    ["listen on TCP", () => listening(net.createServer(), { port: 0, host: "127.0.0.1" })],
    ["listen on a Unix socket", () => listening(net.createServer(), { path: `${outside}/${mine}.sock` })],
    ["accept on an inherited listener", () => listening(net.createServer(), { fd: 4 })],
    ["send by UDP", () => sendDatagram(targets.udpPort)],
    ["signal another process", () => process.kill(targets.otherPid, 0)],
    ["start a process", () => once(spawn("/bin/true"), "exit")],
    ["start Node", () => once(execFile(process.execPath, ["--version"]), "exit")],
    ["start a worker", () => once(new Worker("", { eval: true }), "exit")],
    ["open the inspector", openInspector],
    ["evaluate a string", () => new Function("return 1")()],
    ["load native code", () => process.dlopen({ exports: {} }, process.execPath)],
    ["load a module outside", () => createRequire(import.meta.url)(`${outside}/module.cjs`)],
    ["call libc", async () => (await import("node:ffi")).dlopen(null)],
  ]);
  for (const [place, folder] of Object.entries(targets.folders)) {
    all.set(`read ${place}`, () => fs.readFileSync(`${folder}/secret`));
    all.set(`write ${place}`, () => fs.writeFileSync(`${folder}/${mine}`, ""));
    all.set(`read through a link in ${place}`, () => fs.readFileSync(`${folder}/way-out/secret`));
    all.set(`move out of ${place}`, () => fs.renameSync(`${folder}/secret`, `${outside}/moved-${process.pid}`));
    all.set(`make a link in ${place} that leads out`, () =>
      fs.symlinkSync(`${outside}/secret`, `${folder}/out-${process.pid}`),
    );
    all.set(`sqlite in ${place}`, () => openDatabase(`${folder}/${mine}.db`));
  }
  return all;
}

function writeAndRemove(path: string): void {
  fs.writeFileSync(path, "");
  fs.rmSync(path);
}

/** Node says on standard error that it could not, and goes on. */
function written(path: string): void {
  if (!fs.existsSync(path)) throw new Error("not written");
}

async function openInspector(): Promise<void> {
  const inspector = await import("node:inspector");
  inspector.open(0, "127.0.0.1");
  inspector.close();
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

async function sendDatagram(port: number): Promise<void> {
  const socket = createSocket("udp4");
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.on("error", reject);
  socket.send("evil", port, "127.0.0.1", (error) => (error ? reject(error) : resolve()));
  await promise.finally(() => socket.close());
}
