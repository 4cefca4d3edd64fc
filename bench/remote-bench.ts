/**
 * How many messages a second `remote` relays to a server on loopback, and what they cost it. Three processes: this one
 * plays queue, one runs the program's core, one is a sink that does no more than answer.
 *
 *   node bench/remote-bench.ts [MESSAGES [CONCURRENCY [OCTETS]]]
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfig } from "../src/programs/remote/config.ts";
import { createRemote } from "../src/programs/remote/remote.ts";
import { readSettings } from "../src/protocol/control/parse.ts";
import { bodyEnd, deliver, deliveryBodyType, deliveryCredit, ended, report } from "../src/protocol/wire/delivery.ts";
import { encodeFrame } from "../src/protocol/wire/frame.ts";
import { createChannel } from "../src/services/channel/channel.ts";

const [, , role = "10000", place = "20", size = "4096"] = process.argv;
if (role === "sink") runSink();
else if (role === "remote") runRemote(place, size);
else await drive(Number(role), Number(place), Number(size));

async function drive(messages: number, concurrency: number, octets: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "remote-bench-"));
  const children: ChildProcess[] = [];
  const start = async (...args: string[]): Promise<{ child: ChildProcess; said: unknown }> => {
    const child = fork(import.meta.filename, args);
    children.push(child);
    const [said] = await once(child, "message");
    return { child, said };
  };
  try {
    const path = join(folder, "queue");
    const queue = createServer().listen(path);
    const accepted = once(queue, "connection");
    const sink = await start("sink");
    const { child: remote } = await start("remote", path, String(sink.said));
    const [socket] = (await accepted) as [Socket];
    await relay(socket, Math.min(2_000, messages), concurrency, octets);
    const before = await usage(remote);
    const startedMs = performance.now();
    const failed = await relay(socket, messages, concurrency, octets);
    const tookMs = performance.now() - startedMs;
    const after = await usage(remote);
    const cpuUs = after.cpuUs - before.cpuUs;
    console.log(
      `${messages} messages of ${octets} octets, ${concurrency} at once: ${Math.round((messages * 1_000) / tookMs)}/s,` +
        ` ${Math.round(cpuUs / messages)} us of CPU each (${Math.round((messages * 1e6) / cpuUs)}/s a core),` +
        ` ${Math.round(after.rssOctets / 2 ** 20)} MiB, ${failed} failed`,
    );
    queue.close();
    socket.destroy();
  } finally {
    for (const child of children) child.disconnect();
    rmSync(folder, { recursive: true });
  }
}

interface Usage {
  readonly cpuUs: number;
  readonly rssOctets: number;
}

async function usage(remote: ChildProcess): Promise<Usage> {
  remote.send("usage");
  const [answer] = (await once(remote, "message")) as [Usage];
  return answer;
}

/** Resolves with the number of failures. */
async function relay(socket: Socket, messages: number, concurrency: number, octets: number): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const line = `${"x".repeat(63)}\n`;
  const body = Buffer.from(line.repeat(Math.ceil(octets / line.length))).subarray(0, octets);
  let sent = 0;
  let done = 0;
  let failed = 0;
  const rests = new Map<number, number>();
  const give = (stream: number, credit: number): void => {
    const from = rests.get(stream) ?? octets;
    const until = Math.min(octets, from + credit);
    rests.set(stream, until);
    for (let at = from; at < until; at += 65_536) {
      channel.send(encodeFrame(deliveryBodyType, stream, body.subarray(at, Math.min(until, at + 65_536))));
    }
    if (until === octets && from < until) channel.send(bodyEnd.encode(stream, {}));
  };
  const begin = (): void => {
    const stream = ++sent;
    const about = { queueId: stream, name: "n", arrivedMs: 0, octets, bodyKind: 0, attempt: 1 };
    const paths = { reversePath: "a@b.example", numbers: [0], forwardPaths: [`user${stream}@d.example`] };
    channel.send(deliver.encode(stream, { ...about, ...paths }));
    rests.set(stream, 0);
    give(stream, 65_536);
  };
  const channel = createChannel(socket, {
    onFrame({ type, stream, payload }) {
      if (type === report.type && report.decode(payload)?.letter !== "K") failed++;
      if (type === deliveryCredit.type) give(stream, deliveryCredit.decode(payload)?.octets ?? 0);
      if (type !== ended.type) return undefined;
      rests.delete(stream);
      if (sent < messages) begin();
      if (++done === messages) resolve(failed);
      return undefined;
    },
    onClose: () => resolve(messages - done),
  });
  for (let n = 0; n < Math.min(concurrency, messages); n++) begin();
  const result = await promise;
  socket.removeAllListeners();
  return result;
}

function runRemote(path: string, sinkPort: string): void {
  const settings = readSettings(new Map([["smtproutes", `:127.0.0.1:${sinkPort}`]]));
  if (settings.kind !== "done") throw new Error(settings.text);
  const config = readConfig(settings.value, {});
  if (config.kind !== "done") throw new Error(config.text);
  const remote = createRemote({
    config: config.value,
    readConfig: () => config,
    log: () => {},
    random: Math.random,
    now: () => performance.now(),
    tickMs: 1_000,
  });
  if (remote.kind !== "done") throw new Error(remote.text);
  const socket = connect(path, () => process.send?.("ready"));
  remote.value.peer?.("queue", socket);
  process.on("disconnect", () => process.exit());
  process.on("message", () => {
    const { user, system } = process.cpuUsage();
    process.send?.({ cpuUs: user + system, rssOctets: process.memoryUsage.rss() });
  });
}

/** Answers every command at once, with PIPELINING; looks for the end of a message and at nothing else of it. */
function runSink(): void {
  const end = Buffer.from("\r\n.\r\n");
  process.on("disconnect", () => process.exit());
  const server = createServer({ noDelay: true }, (socket) => {
    let inData = false;
    let tail: Buffer = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.write("220 sink\r\n");
    socket.on("data", (chunk: Buffer) => {
      let input = tail.length > 0 ? Buffer.concat([tail, chunk]) : chunk;
      let replies = "";
      for (;;) {
        const at = inData ? input.indexOf(end) : input.indexOf(10);
        if (at < 0) break;
        if (inData) replies += "250 ok\r\n";
        else {
          const verb = input.toString("latin1", 0, 4);
          replies += verb === "EHLO" ? "250-sink\r\n250 PIPELINING\r\n" : verb === "DATA" ? "354 go\r\n" : "250 ok\r\n";
          if (verb === "QUIT") socket.end();
          inData = verb === "DATA";
          input = input.subarray(at + 1);
          continue;
        }
        inData = false;
        input = input.subarray(at + end.length);
      }
      tail = inData ? input.subarray(Math.max(0, input.length - 4)) : input;
      if (replies !== "" && socket.writable) socket.write(replies, "latin1");
    });
  });
  server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
}
