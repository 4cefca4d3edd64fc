import assert from "node:assert/strict";
import { once } from "node:events";
import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { tryLock } from "./descriptors.ts";
import { deviceOf, openDirectoryOf, syncFileSystem } from "./flush.ts";
import { peerCredentials } from "./peer-credentials.ts";
import { randomOctets } from "./random.ts";
import { buildFilter, type CallRule } from "./seccomp.ts";
import { listenTcp, listenUnix, sixteenBitGroups, socketPair } from "./sockets.ts";
import { systemCalls, thisMachine } from "./system-calls.ts";

const worked = <Value>(outcome: { kind: string; value?: Value; text?: string }): Value => {
  assert.equal(outcome.kind, "done", outcome.text ?? "");
  return outcome.value as Value;
};

function folder(t: { after: (clean: () => void) => void }): string {
  const path = mkdtempSync(join(tmpdir(), "postern-kernel-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test("randomOctets() gives others each time", () => {
  const machine = thisMachine();
  assert.ok(machine);
  const [one, other] = [worked(randomOctets(machine, 12)), worked(randomOctets(machine, 12))];
  assert.equal(one.length, 12);
  assert.notDeepEqual(one, other);
});

test("socketPair() connects two descriptors", () => {
  const [one, other] = worked(socketPair());
  writeSync(one, "octets");
  const read = Buffer.alloc(10);
  assert.equal(readSync(other, read), 6);
  assert.equal(read.toString("latin1", 0, 6), "octets");
  closeSync(one);
  closeSync(other);
});

for (const [address, host] of [
  ["127.0.0.1", "127.0.0.1"],
  ["::1", "::1"],
] as const) {
  test(`listenTcp() on ${address} leaves accepting to who gets the descriptor`, async () => {
    const fd = worked(listenTcp(address, 0));
    const server = createServer((socket) => socket.end("welcome"));
    server.listen({ fd });
    await once(server, "listening");
    const bound = server.address();
    assert.ok(typeof bound === "object" && bound !== null);
    const again = listenTcp(address, bound.port);
    assert.equal(again.kind === "done" ? "" : again.code, "EADDRINUSE");
    const client = connect(bound.port, host);
    const [words]: unknown[] = await once(client, "data");
    assert.equal(String(words), "welcome");
    server.close();
  });
}

test("listenUnix() refuses a path that is too long, and one that is taken", (t) => {
  const path = join(folder(t), "socket");
  const fd = worked(listenUnix(path));
  const again = listenUnix(path);
  assert.equal(again.kind === "done" ? "" : again.code, "EADDRINUSE");
  const long = listenUnix(path.padEnd(108, "x"));
  assert.equal(long.kind === "done" ? "" : long.code, "ENAMETOOLONG");
  closeSync(fd);
});

const groups = [
  ["::", [0, 0, 0, 0, 0, 0, 0, 0]],
  ["::1", [0, 0, 0, 0, 0, 0, 0, 1]],
  ["2001:db8::", [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0]],
  ["1:2:3:4:5:6:7:8", [1, 2, 3, 4, 5, 6, 7, 8]],
  ["::ffff:192.0.2.1", [0, 0, 0, 0, 0, 0xffff, 0xc000, 0x201]],
  ["1::2:3", [1, 0, 0, 0, 0, 0, 2, 3]],
] as const;
for (const [address, expected] of groups) {
  test(`sixteenBitGroups() reads ${address}`, () => assert.deepEqual(sixteenBitGroups(address), expected));
}

test("peerCredentials() knows the other end, and fails on what is no socket", () => {
  const [one, other] = worked(socketPair());
  const { pid, uid, gid } = worked(peerCredentials(one));
  assert.deepEqual({ pid, uid, gid }, { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() });
  closeSync(one);
  closeSync(other);
  const fd = openSync("/dev/null", "r");
  const failed = peerCredentials(fd);
  assert.equal(failed.kind === "done" ? "" : failed.code, "ENOTSOCK");
  closeSync(fd);
});

test("openDirectoryOf() opens a folder another descriptor holds, and nothing that is no folder", (t) => {
  const path = folder(t);
  const held = openSync(path, "r");
  const opened = worked(openDirectoryOf(process.pid, held));
  assert.equal(fstatSync(opened).ino, fstatSync(held).ino);
  assert.equal(deviceOf(opened), fstatSync(held).dev);
  assert.equal(syncFileSystem(opened).kind, "done");
  closeSync(opened);
  const file = openSync(join(path, "file"), "w");
  const refused = openDirectoryOf(process.pid, file);
  assert.equal(refused.kind === "done" ? "" : refused.code, "ENOTDIR");
  closeSync(file);
  closeSync(held);
  const failed = syncFileSystem(held);
  assert.equal(failed.kind === "done" ? "" : failed.code, "EBADF");
});

test("tryLock() lets one opening of a file have it, until it is closed", (t) => {
  const path = join(folder(t), "lock");
  const one = openSync(path, "w");
  const other = openSync(path, "w");
  assert.equal(worked(tryLock(one)), true);
  assert.equal(worked(tryLock(other)), false);
  closeSync(one);
  assert.equal(worked(tryLock(other)), true);
  closeSync(other);
});

// A filter is judged by running it, as the kernel would, on calls.
const machine = { auditArchitecture: 0xc000003e, column: 0 } as const;
const rules: readonly CallRule[] = [
  { calls: ["ptrace", "mount"], refuse: "always" },
  { calls: ["clone3"], refuse: "unknown" },
  {
    calls: ["kill"],
    refuse: {
      unlessAll: [
        { argument: 0, isOneOf: [7, 8] },
        { argument: 1, hasBit: 4 },
      ],
    },
  },
  {
    calls: ["fcntl"],
    refuse: {
      ifAny: [
        { argument: 1, isOneOf: [8, 15] },
        { argument: 2, hasBit: 2 },
      ],
    },
  },
];
const verdicts = [
  { call: "execve", args: [], verdict: "allow" },
  { call: "ptrace", args: [], verdict: "fail 1" },
  { call: "mount", args: [], verdict: "fail 1" },
  { call: "clone3", args: [], verdict: "fail 38" },
  { call: "kill", args: [7, 4], verdict: "allow" },
  { call: "kill", args: [8, 12], verdict: "allow" },
  { call: "kill", args: [9, 4], verdict: "fail 1" },
  { call: "kill", args: [7, 3], verdict: "fail 1" },
  { call: "kill", args: [-1, 4], verdict: "fail 1" },
  { call: "fcntl", args: [0, 1, 1], verdict: "allow" },
  { call: "fcntl", args: [0, 8, 0], verdict: "fail 1" },
  { call: "fcntl", args: [0, 15, 0], verdict: "fail 1" },
  { call: "fcntl", args: [0, 1, 3], verdict: "fail 1" },
] as const;
for (const { call, args, verdict } of verdicts) {
  test(`buildFilter() answers ${call}(${args}) with ${verdict}`, () => {
    assert.equal(judge(buildFilter(rules, machine), systemCalls[call][0], args), verdict);
  });
}

test("buildFilter() kills foreign calls, and knows none newer than its tables", () => {
  const filter = buildFilter(rules, machine);
  assert.equal(judge(filter, 1, [], 0x40000003), "kill");
  assert.equal(judge(filter, 457, []), "fail 38");
  assert.equal(judge(filter, 0x40000000 + systemCalls.ptrace[0], []), "fail 38");
});

/** A BPF machine with the few instructions our filters use. */
function judge(filter: Buffer, call: number, args: readonly number[], architecture = 0xc000003e): string {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call >>> 0, 0);
  data.writeUInt32LE(architecture, 4);
  for (const [at, value] of args.entries()) data.writeInt32LE(value, 16 + 8 * at);
  let accumulator = 0;
  for (let at = 0; ; at++) {
    const [code, jt, jf, k] = [
      filter.readUInt16LE(8 * at),
      filter.readUInt8(8 * at + 2),
      filter.readUInt8(8 * at + 3),
      filter.readUInt32LE(8 * at + 4),
    ];
    if (code === 0x20) accumulator = data.readUInt32LE(k);
    else if (code === 0x15) at += accumulator === k ? jt : jf;
    else if (code === 0x25) at += accumulator > k ? jt : jf;
    else if (code === 0x45) at += (accumulator & k) !== 0 ? jt : jf;
    else if (code === 0x06) return k === 0x7fff0000 ? "allow" : k === 0x80000000 ? "kill" : `fail ${k & 0xffff}`;
    else assert.fail(`instruction ${code}`);
  }
}
