import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { programs } from "../crash/kills.ts";
import { Talk } from "../dialogues/talk.ts";
import { writeAccounts } from "../support/accounts.ts";
import { unlessRoot, without } from "../support/missing.ts";
import { freePort, type Server, startServer, temporaryFolder, until } from "../support/server.ts";
import { inject, type SystemFault } from "./inject.ts";

const skip = unlessRoot() || without("strace");
const folder = temporaryFolder();
const port = await freePort();
const maildir = join(folder, "mail/mail.test/joe/Maildir");
let server: Server;
before(async () => {
  if (skip) return;
  await writeAccounts(folder, [["joe@mail.test", "secret"]]);
  for (const part of ["tmp", "new", "cur"]) mkdirSync(join(maildir, part), { recursive: true });
  server = await startServer({
    folder,
    control: { mailboxdomains: "mail.test:accounts\n", pop3listen: `127.0.0.1:${port}\n`, clearlogin: "1\n" },
  });
});
after(async () => {
  if (!skip) await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const small = "Subject: small\n\nbody\n";
const large = `Subject: large\n\n${"0123456789\n".repeat(20_000)}`;
/** Their sizes are not in the names: each file is looked at. */
const messages = { "1.small": small, "2.large": large, "3.kept": small } as const;

/** Every message anew, as if it had just come. */
function fill(): void {
  for (const part of ["new", "cur"]) {
    for (const name of readdirSync(join(maildir, part))) rmSync(join(maildir, part, name));
  }
  for (const [name, text] of Object.entries(messages)) writeFileSync(join(maildir, "new", name), text);
}

const there = (): string =>
  ["new", "cur"]
    .flatMap((part) => readdirSync(join(maildir, part)).map((name) => `${part}/${name.replace(/:2,$/, "")}`))
    .sort((one, other) => one.localeCompare(other))
    .join(" ");

/** What a session is told, a message as one word: whole, or cut. */
async function play(): Promise<string> {
  const talk = await Talk.open(port);
  talk.send("USER joe@mail.test\r\nPASS secret\r\nRETR 1\r\nRETR 2\r\nDELE 1\r\nDELE 2\r\nQUIT\r\n");
  for (let greetings = 0; greetings < 2; greetings++) await talk.line();
  const said: string[] = [];
  for (let line = await talk.line(); line !== undefined; line = await talk.line()) {
    if (!line.startsWith("Subject: ")) {
      said.push(line.trim());
      continue;
    }
    while (line !== undefined && line !== ".") line = await talk.line();
    said.push(line === "." ? "whole" : "cut");
  }
  talk.close();
  return said.join(", ");
}

const opened = (): Promise<void> =>
  until("a mailbox to open", async () => !(await play()).startsWith("-ERR [SYS/TEMP]"));

const ok = "+OK, +OK, whole, +OK, whole, +OK, +OK, +OK";
const notAll = "-ERR [SYS/PERM] unable to unlink all deleted messages";
/** Without `says` it dies in the middle of its replies, and the last is none. */
const rows: readonly { fault?: SystemFault; says?: string; leaves: string }[] = [
  { says: ok, leaves: "cur/3.kept" },
  {
    fault: { calls: ["unlink"], error: "EIO", when: "1" },
    says: ok.replace(/\+OK$/, notAll),
    leaves: "cur/3.kept new/1.small",
  },
  {
    fault: { calls: ["unlink"], error: "EROFS", when: "1+" },
    says: ok.replace(/\+OK$/, notAll),
    leaves: "cur/3.kept new/1.small new/2.large",
  },
  { fault: { calls: ["rename"], error: "EIO", when: "1+" }, says: ok, leaves: "new/3.kept" },
  {
    fault: { calls: ["openat"], error: "EMFILE", when: "3" }, // new/ and cur/ first
    says: "+OK, -ERR unable to open that message, +OK, whole, +OK, +OK, +OK",
    leaves: "cur/3.kept",
  },
  {
    fault: { calls: ["openat"], error: "EIO", when: "1" },
    says: "-ERR [SYS/TEMP] unable to scan the mailbox",
    leaves: "new/1.small new/2.large new/3.kept",
  },
  {
    fault: { calls: ["getdents64"], error: "EIO", when: "1" },
    says: "-ERR [SYS/TEMP] unable to scan the mailbox",
    leaves: "new/1.small new/2.large new/3.kept",
  },
  {
    fault: { calls: ["pread64"], error: "EIO", when: "1" },
    says: "+OK, -ERR [SYS/TEMP] unable to read that message, +OK, whole, +OK, +OK, +OK",
    leaves: "cur/3.kept",
  },
  {
    fault: { calls: ["pread64"], error: "EIO", when: "4" }, // in the middle of the second
    says: "+OK, +OK, whole, +OK, cut",
    leaves: "new/1.small new/2.large new/3.kept",
  },
  {
    fault: { calls: ["unlink"], error: "KILL", when: "1" },
    leaves: "new/1.small new/2.large new/3.kept",
  },
];

for (const { fault, says, leaves } of rows) {
  const name = fault ? `${fault.calls.join()} ${fault.error} ${fault.when}` : "no fault";
  test(`pop3session, ${name}: a clear word for the client, and no mail lost`, { skip }, async () => {
    const pids = () => programs(server).flatMap((each) => (each.name === "pop3session" ? [each.pid] : []));
    if (pids().length === 0) await opened(); // one that stays for a minute
    fill();
    const injection = await inject(pids(), fault ? [fault] : [], ["unlink"]);
    const said = await play();
    if (fault) await until("the call to fail", () => injection.failed() > 0);
    await injection.end();
    if (says === undefined) assert.ok(said.length < ok.length, said);
    else assert.equal(said, says);
    assert.equal(there(), leaves);
    fill();
    assert.equal(await play(), ok, "and then all is well again");
  });
}

test("pop3d out of descriptors: who is in goes on, nobody dies, all is well when there are some again", {
  skip: skip || without("prlimit"),
}, async () => {
  fill();
  await opened();
  fill();
  const talk = await Talk.open(port);
  talk.send("USER joe@mail.test\r\nPASS secret\r\n");
  for (const expected of ["+OK localhost ready", "+OK ", "+OK "]) assert.equal(await talk.line(), expected);
  const [pid = 0] = programs(server).flatMap((each) => (each.name === "pop3d" ? [each.pid] : []));
  const allow = (files: number): void => {
    execFileSync("prlimit", ["--pid", String(pid), `--nofile=${files}:`]);
  };
  allow(readdirSync(`/proc/${pid}/fd`).length + 5);
  const crowd = Array.from({ length: 40 }, () => connect(port, "127.0.0.1").on("error", () => {}));
  await Promise.all(crowd.map((socket) => once(socket, "connect")));
  talk.send("STAT\r\nDELE 1\r\nQUIT\r\n");
  const total = 2 * small.length + large.length;
  for (const expected of [`+OK 3 ${total}`, "+OK ", "+OK ", undefined]) assert.equal(await talk.line(), expected);
  talk.close();
  for (const socket of crowd) socket.destroy();
  allow(1_024);
  await until("service again", async () => {
    fill();
    return (await play()) === ok;
  });
  assert.equal(there(), "cur/3.kept");
  assert.deepEqual(
    (await server.status()).filter(({ name, restarts }) => name === "pop3d" && restarts > 0),
    [],
  );
});
