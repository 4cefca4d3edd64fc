import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openPop3Stage } from "../dialogues/pop3-stage.ts";
import { Talk } from "../dialogues/talk.ts";
import { amongPeers } from "../setup.ts";
import { unlessRoot, without } from "../support/missing.ts";

const messages = {
  "new/1700000001.a.mx,S=26": "Subject: one\n\nfirst body\n\n",
  "cur/1700000002.b.mx,S=33:2,": "Subject: two\nX: y\n\n.\n..dots\nlast\n",
  "cur/1700000003.c.mx,S=18:2,S": "Subject: three\n\nx\n",
};

const nobody = "65534";

/** A POP3 server that is past the login, line by line. */
interface Peer {
  send(line: string): void;
  line(): Promise<string | undefined>;
  close(): void;
}

async function ours(port: number): Promise<Peer> {
  const talk = await Talk.open(port);
  talk.send("USER joe@localhost\r\nPASS secret\r\n");
  for (let lines = 0; lines < 3; lines++) await talk.line();
  return { send: (line) => talk.send(`${line}\r\n`), line: () => talk.line(), close: () => talk.close() };
}

/** Dovecot's `pop3`, started for one user who needs no password. */
async function dovecot(maildir: string): Promise<Peer> {
  const configuration = join(maildir, "..", "dovecot.conf");
  const settings = { log_path: "/dev/stderr", ssl: "no", mail_fsync: "never", mail_location: `maildir:${maildir}` };
  const lines = Object.entries({ ...settings, pop3_uidl_format: "%f", first_valid_uid: "0" });
  writeFileSync(configuration, lines.map(([name, value]) => `${name} = ${value}\n`).join(""));
  const [command = "", ...args] = amongPeers;
  const become = ["setpriv", "--reuid", nobody, "--regid", nobody, "--clear-groups"];
  const as = [...become, "env", "-i", "PATH=/usr/bin:/bin", `HOME=${join(maildir, "..")}`, "USER=nobody"];
  const pop3 = ["/usr/lib/dovecot/pop3", "-c", configuration];
  const child: ChildProcess = spawn(command, [...args, "-c", 'exec "$@"', "sh", ...as, ...pop3]);
  let said = "";
  let hasEnded = false;
  let wake = (): void => {};
  child.stdout?.on("data", (chunk: Buffer) => {
    said += chunk.toString("latin1");
    wake();
  });
  child.stderr?.resume();
  child.on("close", () => {
    hasEnded = true;
    wake();
  });
  const peer: Peer = {
    send: (line) => void child.stdin?.write(`${line}\r\n`),
    async line() {
      while (!said.includes("\r\n") && !hasEnded) await new Promise<void>((resolve) => (wake = resolve));
      const end = said.indexOf("\r\n");
      if (end < 0) return undefined;
      const line = said.slice(0, end);
      said = said.slice(end + 2);
      return line;
    },
    close: () => void child.kill(),
  };
  return peer;
}

/** All of an answer; of its first line only whether it went well, for the words are each server's own. */
async function answer(peer: Peer, command: string, isLong: boolean): Promise<readonly string[]> {
  peer.send(command);
  const first = (await peer.line()) ?? "(end)";
  const lines = [/^\+OK [0-9]/.test(first) && !isLong ? first : (first.split(" ")[0] ?? "")];
  if (!isLong || first.startsWith("-")) return lines;
  for (let line = await peer.line(); line !== undefined; line = await peer.line()) {
    lines.push(line);
    if (line === ".") break;
  }
  return lines;
}

/** Where we answer otherwise, and why: docs/pop3.md. */
const differing: ReadonlyMap<string, string> = new Map([
  ["STAT", "sizes are those of the files"],
  ["LIST", "sizes are those of the files"],
  ["LIST 2", "sizes are those of the files"],
  ["LAST", "RFC 1939 has it no more; qmail has, and so have we"],
]);

const talk: readonly string[] = [
  ...["STAT", "LIST", "LIST 2", "LIST 4", "LIST 0", "UIDL", "UIDL 3", "UIDL 9", "RETR 1", "RETR 2", "RETR 4", "RETR x"],
  ...["TOP 2 0", "TOP 2 1", "TOP 2 100", "NOOP", "DELE 2", "DELE 2", "RETR 2", "TOP 2 0", "UIDL", "UIDL 2", "LIST 2"],
  ...["DELE 9", "XYZZY", "RSET", "UIDL", "LAST", "DELE 3", "QUIT"],
];
const isLong = (command: string): boolean => /^(LIST|UIDL)$|^(RETR|TOP) /.test(command);

test("POP3 command by command beside Dovecot's, on the same Maildir", {
  skip: unlessRoot() || without("dovecot"),
}, async () => {
  await using stage = await openPop3Stage({ messages });
  const folder = mkdtempSync(join(tmpdir(), "postern-dovecot-"));
  const peers: Peer[] = [];
  try {
    const copy = join(folder, "Maildir");
    cpSync(stage.maildir, copy, { recursive: true });
    execFileSync("chown", ["-R", nobody, folder]);
    const [we, they] = [await ours(stage.port), await dovecot(copy)];
    peers.push(we, they);
    for (const command of talk) {
      const [our, their] = [await answer(we, command, isLong(command)), await answer(they, command, isLong(command))];
      if (differing.has(command)) assert.equal(our.length, their.length, command);
      else assert.deepEqual(our, their, command);
    }
    for (const peer of peers) assert.equal(await peer.line(), undefined, "the end after QUIT");
    const left = (maildir: string) => ["new", "cur"].map((part) => readdirSync(join(maildir, part)).sort());
    assert.deepEqual(left(stage.maildir), left(copy), "what is left in the Maildir");
  } finally {
    for (const peer of peers) peer.close();
    rmSync(folder, { recursive: true });
  }
});
