import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Socket } from "node:net";
import { test } from "node:test";
import { socketPair } from "../../services/kernel/sockets.ts";
import { guardChannel } from "./channel-guard.ts";

const hello = '{"kind":"hello"}\n';
const ready = '{"kind":"ready"}\n';
const receipt = '{"cmd":"NODE_HANDLE_ACK"}\n';

/** Writes to its channel what it is told, behind Node's back, and ends when nobody listens. */
const program = `
  const { writeSync } = require("node:fs");
  const say = (text) => { for (let rest = Buffer.from(text); rest.length > 0; ) try { rest = rest.subarray(writeSync(3, rest)); } catch (error) { if (error.code !== "EAGAIN") throw error; } };
  for (const text of JSON.parse(process.argv[1])) say(text.repeat(process.argv[2]));
  setInterval(() => {}, 1000);
`;

const cases: readonly {
  name: string;
  says: readonly string[];
  times?: number;
  hears?: readonly string[];
  breaks: boolean;
}[] = [
  { name: "both words of a program", says: [hello, ready], hears: ["hello", "ready"], breaks: false },
  {
    name: "a word in pieces",
    says: [hello.slice(0, 5), hello.slice(5) + ready],
    hears: ["hello", "ready"],
    breaks: false,
  },
  { name: "what is no JSON", says: [hello, "x\n"], breaks: true },
  { name: "an empty line", says: ["\n"], breaks: true },
  { name: "a word said twice", says: [hello, hello, ready], breaks: true },
  { name: "a receipt for nothing", says: [hello, ready, receipt], breaks: true },
  { name: "a receipt of failure", says: ['{"cmd":"NODE_HANDLE_NACK"}\n'], breaks: true },
  { name: "a socket that is none", says: ['{"cmd":"NODE_HANDLE","type":"net.Socket"}\n'], breaks: true },
  { name: "a handle of no kind", says: ['{"cmd":"NODE_HANDLE","type":"x"}\n'], breaks: true },
  { name: "JSON of another kind", says: ["null\n"], breaks: true },
  { name: "a line without end", says: ["x"], times: 4_000_000, breaks: true },
  { name: "lines without end", says: [hello], times: 100_000, breaks: true },
];

for (const { name, says, times = 1, hears, breaks } of cases) {
  test(`guardChannel() ${breaks ? "ends a program for" : "lets through"} ${name}`, async () => {
    const child = spawn(process.execPath, ["-e", program, JSON.stringify(says), `${times}`], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const exited = once(child, "exit");
    const { promise: over, resolve } = Promise.withResolvers<boolean>();
    const heard: unknown[] = [];
    child.on("message", (message: { kind?: unknown }) => {
      heard.push(message.kind);
      if (heard.length === hears?.length) resolve(false);
    });
    guardChannel(child, () => resolve(true));
    assert.equal(await over, breaks);
    child.kill("SIGKILL");
    await exited;
    if (hears) assert.deepEqual(heard, hears);
  });
}

test("guardChannel() lets the receipt for a socket through, and no second one", async () => {
  const code = `process.once("message", (kind, socket) => setImmediate(() => require("node:fs").writeSync(3, ${JSON.stringify(receipt)})));`;
  const child = spawn(process.execPath, ["-e", code], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const exited = once(child, "exit");
  const breach = Promise.withResolvers<void>();
  guardChannel(child, breach.resolve);
  const pair = socketPair();
  assert.ok(pair.kind === "done");
  const sent = Promise.withResolvers<Error | null>();
  child.send("take", new Socket({ fd: pair.value[0], readable: false }), { keepOpen: false }, sent.resolve);
  assert.equal(await sent.promise, null);
  await breach.promise;
  child.kill("SIGKILL");
  await exited;
  new Socket({ fd: pair.value[1] }).destroy();
});
