import assert from "node:assert/strict";
import { readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { test } from "node:test";
import { openPrograms } from "../../src/programs/supervise/walls.ts";
import { Talk } from "../dialogues/talk.ts";
import { writeAccounts } from "../support/accounts.ts";
import { unlessRoot } from "../support/missing.ts";
import { descendants, freePort, startServer, temporaryFolder, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

const proc = (pid: number, file: string): string => readFileSync(`/proc/${pid}/${file}`, "latin1");
const nameOf = (pid: number): string => /postern: (\w+)/.exec(proc(pid, "cmdline"))?.[1] ?? "";
const statusOf = (pid: number): ReadonlyMap<string, string> =>
  new Map(
    proc(pid, "status")
      .split("\n")
      .map((line) => line.split(/:\s*/, 2) as [string, string]),
  );

/** Below the server's folder, what each program holds open; "listener" for a socket that others connect to. */
const holdings: ReadonlyMap<string, readonly string[]> = new Map([
  ["smtpd", ["listener"]],
  ["qmtpd", ["listener"]],
  ["qmqpd", ["listener"]],
  ["pop3d", ["listener"]],
  ["authd", ["listener"]],
  ["hook", []],
  ["queue", ["queue/queue.sqlite", "queue/queue.sqlite-wal", "run/lock.queue"]],
  ["directory", ["directory/accounts.sqlite", "directory/accounts.sqlite-shm", "directory/accounts.sqlite-wal"]],
  ["local", ["mail"]],
  ["deliver", ["mail"]],
  ["pop3session", []],
  ["remote", []],
  ["logger", ["log/current"]],
]);

const environment = new Set(["NODE_CHANNEL_FD", "OPENSSL_CONF", "PATH", "TZ", "UV_USE_IO_URING"]);

/** What any Node holds: pipes, its event loop, and sockets that nobody can connect to. */
const isPlain = (link: string): boolean => /^(pipe:|anon_inode:|\/dev\/null$|\/dev\/urandom$)/.test(link);

/** Inodes of sockets that listen. */
function listeners(): ReadonlySet<string> {
  const rows = (file: string) => readFileSync(`/proc/net/${file}`, "latin1").split("\n").slice(1);
  const tcp = ["tcp", "tcp6"].flatMap(rows).map((line) => line.trim().split(/ +/));
  const unix = rows("unix").map((line) => line.split(/ +/));
  const accepting = unix.filter(([, , , flags]) => flags === "00010000");
  return new Set([
    ...tcp.filter(([, , , state]) => state === "0A").map((fields) => fields[9] ?? ""),
    ...accepting.map((fields) => fields[6] ?? ""),
  ]);
}

function held(pid: number, root: string): string[] {
  const listening = listeners();
  const links = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return []; // closed meanwhile
    }
  });
  const kinds = links.filter((link) => !isPlain(link)).map((link) => kindOf(link, root, listening));
  return [...new Set(kinds.filter((kind) => kind !== "socket"))].sort();
}

function kindOf(link: string, root: string, listening: ReadonlySet<string>): string {
  const inode = /^socket:\[(\d+)\]$/.exec(link)?.[1];
  if (inode !== undefined) return listening.has(inode) ? "listener" : "socket";
  if (!link.startsWith(`${root}/`)) return link;
  const path = link.slice(root.length + 1);
  return path.startsWith("mail/") ? "mail" : path;
}

test("each program as shipped: no privileges, no secrets of its environment, only its own descriptors", {
  skip: unlessRoot(),
}, async (t) => {
  const leftOpen = temporaryFolder();
  t.after(() => rmSync(leftOpen, { recursive: true }));
  // Every program that may run at all.
  const pop3Port = await freePort();
  const folder = temporaryFolder();
  t.after(() => rmSync(folder, { recursive: true }));
  await writeAccounts(folder, [["joe@mail.test", "secret"]]);
  const control = {
    qmtplisten: `127.0.0.1:${await freePort()}\n`,
    pop3listen: `127.0.0.1:${pop3Port}\n`,
    clearlogin: "1\n",
    authsocket: "1\n",
    mailboxdomains: "localhost:create\nmail.test:accounts\n",
    smtprules: '192.0.2.1:allow,QMAILQUEUE="/bin/true"\n:allow\n',
  };
  await using server = await startServer({ folder, control, within: ["sh", "-c", 'exec 9<"$0"; exec "$@"', leftOpen] });
  const client = await SmtpClient.open(server.smtpPort);
  assert.match(await client.message("a@localhost", ["b@localhost"], "Subject: x\n\nbody\n"), /^250 /);
  await client.quit();
  const reader = await Talk.open(pop3Port);
  reader.send("USER joe@mail.test\r\nPASS secret\r\n");
  for (const expected of ["+OK localhost ready", "+OK ", "+OK "]) assert.equal(await reader.line(), expected);
  t.after(() => reader.close());
  const pids = (): readonly number[] => descendants(server.process.pid ?? 0);
  await until("the delivery", () => pids().some((pid) => nameOf(pid) === "deliver"));

  const seen = new Set<string>();
  for (const pid of pids()) {
    const name = nameOf(pid);
    const expected = holdings.get(name);
    if (!expected) continue;
    seen.add(name);
    await t.test(name, () => {
      const status = statusOf(pid);
      assert.equal(status.get("Groups")?.trim(), "", "supplementary groups");
      const variables = proc(pid, "environ").split("\0").filter(Boolean);
      const names = variables.map((pair) => pair.split("=", 1)[0] ?? "");
      assert.deepEqual(
        names.filter((each) => !environment.has(each)),
        [],
        "environment",
      );
      const surplus = held(pid, server.root).filter((kind) => !expected.includes(kind));
      assert.deepEqual(surplus, [], "descriptors");
      if (openPrograms.some((open) => open === name)) return;
      assert.equal(status.get("NoNewPrivs"), "1");
      assert.equal(status.get("Seccomp"), "2");
      for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
        assert.equal(status.get(set), "0000000000000000", set);
      }
    });
  }
  assert.deepEqual([...seen].sort(), [...holdings.keys()].sort());
});
