import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { unlessRoot } from "../support/missing.ts";
import { descendants, tree, until } from "../support/server.ts";
import { type Production, startProduction } from "./production.ts";

const skip = unlessRoot();
const users = ["mallory", "killer", "victim", "hanger"];
let production: Production;
let pids: readonly number[];

before(async () => {
  if (skip) return;
  production = await startProduction({
    users,
    prepare: ({ homeOf, write }) => {
      write("victim", join(homeOf("victim"), "private"), "secret of the victim\n");
      for (const { name, lines } of programs) {
        const user = ownerOf(name);
        write(user, join(homeOf(user), `.qmail-${name}`), lines);
      }
      write("hanger", join(homeOf("hanger"), ".qmail-default"), "|exec sleep 1000\n");
    },
  });
  pids = (await production.status()).map(({ pid }) => pid);
});
after(async () => {
  if (!skip) await production[Symbol.asyncDispose]();
});

const sendmail = `exec '${tree}/bin/postern' sendmail --root "$ROOT"`;
const submit = (options: string, input: string, limit = ""): Promise<{ code: number; stderr: string }> =>
  production.as("mallory", `${limit} ${sendmail} ${options}`, { ROOT: production.root }, input);
const arrived = (user: string, subject: string): readonly string[] =>
  production.mailOf(user).filter((text) => text.includes(`Subject: ${subject}\n`));

/** What ends its own `deliver` is tried again a few times: that must not fall on the others. */
const ownerOf = (name: string): string => (name.startsWith("kill") ? "killer" : "mallory");

/** What a user's program may try, run by a mail to USER-NAME; all of it as that user and nobody else. */
const programs = [
  {
    name: "reads",
    lines: "|cat ../victim/private ../victim/Maildir/new/* /etc/shadow\n",
    result: "deferral",
    text: /denied/,
  },
  { name: "queue", lines: '|ls "$HOME/../../var/lib/postern/queue"\n', result: "deferral", text: /denied/ },
  { name: "log", lines: '|cat "$HOME/../../var/log/postern/current"\n', result: "deferral", text: /denied/ },
  {
    name: "operator",
    lines: `|'${tree}/bin/postern' stop --root "$HOME/../.."\n`,
    result: "failure|deferral",
    text: /./,
  },
  {
    name: "who",
    lines: "|id -u; id -G; grep -E '^(Cap(Inh|Prm|Eff|Amb)|Groups)' /proc/self/status\n",
    result: "success",
    text: /./,
  },
  {
    name: "kill-parent",
    lines: "|kill -9 $PPID; kill -9 -- -$PPID; kill -9 1\n",
    result: "deferral",
    text: /permitted|No such/i,
  },
  { name: "kill-group", lines: "|kill -9 0\n", result: "deferral", text: /child crashed/ },
  { name: "kill-all", lines: "|kill -9 -1\n", result: "deferral", text: /ended unexpectedly|child crashed/ },
  {
    name: "kill-programs",
    lines: "|for p in /proc/[0-9]*; do kill -9 $(basename $p) 2>/dev/null; done\n",
    result: "deferral",
    text: /ended unexpectedly|child crashed/,
  },
  { name: "closes", lines: "|exec <&- >&- 2>&-; exit 0\n", result: "success", text: /did 0\+0\+1/ },
  { name: "floods", lines: "|head -c 1000000000 /dev/zero\n", result: "success", text: /^$/ },
  { name: "chatters", lines: "|yes | head -c 100000000; exit 100\n", result: "failure", text: /Error report too long/ },
  {
    name: "frames-a-report",
    lines: "|printf 'K0.0 did 9+9+9\\0Dgone\\0'; exit 111\n",
    result: "deferral",
    text: /^K0\.0 did 9\+9\+9$/,
  },
  { name: "writes-frames", lines: "|printf '\\0\\0\\0\\5\\1\\0\\0\\0\\1' >&3\n", result: "deferral", text: /bad|Bad/ },
  {
    name: "escapes",
    lines: "|printf '\\033[2J\\r\\nFrom: root\\n\\nBcc: x@y\\n'; exit 100\n",
    result: "failure",
    text: /From: root/,
  },
  {
    name: "forks",
    lines: "|i=0; while [ $i -lt 300 ]; do sleep 2 >/dev/null 2>&1 & i=$((i+1)); done; exit 0\n",
    result: "success",
    text: /did 0\+0\+1/,
  },
  { name: "descriptors", lines: "|ls /proc/self/fd | wc -l\n", result: "success", text: /^4\n/ },
  {
    name: "others",
    lines: "|cat /proc/[0-9]*/environ /proc/[0-9]*/mem 2>/dev/null | grep -a -c 'secret of the victim'\n",
    result: "deferral",
    text: /^0\n/,
  },
  { name: "preload", lines: "|env | grep -E '^(NODE|LD_|POSTERN)'\n", result: "deferral", text: /^$/ },
  { name: "limits", lines: "|ulimit -n 4; ulimit -v 1; ulimit -f 0; exit 0\n", result: "success", text: /did 0\+0\+1/ },
  {
    name: "arguments",
    lines: `|exec true ${"x".repeat(32_760)}\n`,
    result: "deferral",
    text: /argument list too long/,
  },
] as const;

for (const { name, result, text } of programs) {
  test(`a program of a .qmail file that ${name}: ${result}, and no more`, { skip }, async () => {
    assert.match(await production.send([`${ownerOf(name)}-${name}@mx.example`]), /^250/);
    const end = await production.endOf(`${ownerOf(name)}-${name}`);
    assert.match(end.result, new RegExp(`^(${result})$`), end.text);
    assert.match(end.text, text);
    assert.doesNotMatch(end.text, /secret of the victim/);
    if (name !== "who") return;
    const uid = production.uidOf("mallory");
    assert.ok(end.text.startsWith(`${uid}\n${uid}\n`), end.text);
    assert.match(end.text, /CapPrm:\t0+\nCapEff:\t0+\n/);
  });
}

/** Limits under which sendmail is started: the message is taken whole, or not at all and the exit code says so. */
const limits = ["-f 0", "-n 8", "-n 16", "-v 100000", "-v 1000000", "-t 0", "-s 64", "-u 1", "-c 0"];
for (const [at, limit] of limits.entries()) {
  test(`sendmail under ulimit ${limit} hands in all of a message or nothing`, { skip }, async () => {
    const subject = `limit${at}`;
    const body = "line\n".repeat(100_000);
    const { code } = await submit(
      "victim@mx.example",
      `Subject: ${subject}\n\n${body}`,
      `ulimit ${limit} 2>/dev/null;`,
    );
    if (code === 0) await until("the message", () => arrived("victim", subject).length === 1);
    assert.match(await production.send(["victim@mx.example"], `Subject: after${at}\n\n`), /^250/);
    await until("the next message", () => arrived("victim", `after${at}`).length === 1);
    const copies = arrived("victim", subject);
    assert.equal(copies.length, code === 0 ? 1 : 0);
    if (code === 0) assert.ok(copies[0]?.endsWith(`\n\n${body}`));
  });
}

test("who sends is in Received, whatever the envelope and the environment say", { skip }, async () => {
  const forged = { USER: "root", LOGNAME: "root", QMAILUSER: "root", UID: "0", SUDO_UID: "0", ROOT: production.root };
  const message = "Received: (postern 1 invoked by uid 0); 1 Jan 2026 00:00:00 -0000\nSubject: forged\n\n";
  const { code } = await production.as("mallory", `${sendmail} -f root@mx.example victim@mx.example`, forged, message);
  assert.equal(code, 0);
  await until("the message", () => arrived("victim", "forged").length === 1);
  const [copy = ""] = arrived("victim", "forged");
  assert.match(
    copy,
    new RegExp(
      `^Return-Path: <root@mx\\.example>\\n.*\\nReceived: \\(postern \\d+ invoked by uid ${production.uidOf("mallory")}\\)`,
    ),
  );
});

/** Variables that make programs of other kinds do as the caller says. */
test("variables for the loader and for Node change nothing but the caller's own process", { skip }, async () => {
  const evil = join(production.homeOf("mallory"), "evil.js");
  production.write("mallory", evil, 'require("node:fs").appendFileSync("ran", process.getuid() + "\\n");');
  const env = {
    ROOT: production.root,
    NODE_OPTIONS: `--require ${evil}`,
    LD_PRELOAD: "/nonexistent.so",
    NODE_DEBUG: "net",
    BASH_ENV: evil,
    ENV: evil,
    IFS: "x",
    QMAILINJECT: "csfirm",
    QMAILMFTFILE: "/etc/shadow",
  };
  await production.as("mallory", `${sendmail} victim@mx.example`, env, "Subject: variables\n\n");
  const ran = join(production.homeOf("mallory"), "ran");
  const uids = existsSync(ran) ? readFileSync(ran, "utf8").trim().split("\n") : [];
  assert.ok(uids.every((uid) => uid === String(production.uidOf("mallory"))));
});

const socketPath = (): string => join(production.root, "run/postern/submission/qmqp");
async function talk(octets: string | Buffer, keep = false): Promise<{ socket: Socket; answer: Promise<string> }> {
  const socket = connect({ path: socketPath() });
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = "";
  socket.on("data", (chunk) => (text += chunk));
  socket.on("error", () => {});
  socket.on("close", () => resolve(text));
  socket.write(octets);
  if (!keep) socket.end();
  return { socket, answer: promise };
}

/** What anybody may write to the submission socket. */
const requests = [
  { name: "nothing", octets: "", answer: /^$/ },
  { name: "a length of 400 digits", octets: "9".repeat(400), answer: /^\d+:D/ },
  { name: "a length of 2^32", octets: "4294967297:", answer: /^$|^\d+:D/ },
  { name: "a length of 2^64", octets: "18446744073709551616:", answer: /^\d+:D/ },
  { name: "a negative length", octets: "-1:", answer: /^\d+:D/ },
  { name: "SMTP", octets: "MAIL FROM:<a@b>\r\nRCPT TO:<victim@mx.example>\r\n", answer: /^\d+:D/ },
  { name: "half a message", octets: "1000:900:Subject: half\n\n", answer: /^$/ },
  { name: "an inner length beyond the outer one", octets: "20:30:x,0:,1:a,,", answer: /^\d+:D/ },
  {
    name: "random octets",
    octets: Buffer.from(Array.from({ length: 5_000 }, (_, at) => (at * 131) & 255)),
    answer: /^\d+:D/,
  },
] as const;
for (const { name, octets, answer } of requests) {
  test(`the submission socket answers ${name} and queues nothing`, { skip }, async () => {
    assert.match(await (await talk(octets as string)).answer, answer);
    assert.deepEqual(arrived("victim", "half"), []);
  });
}

test("a user who holds as many connections as he may keeps no other one from sending", { skip }, async () => {
  const holder = `
    const net = require("node:net");
    for (let n = 0; n < 150; n++) net.connect(${JSON.stringify(socketPath())}).on("error", () => {}).write("100000:90000:Subject: held\\n\\n");
    require("node:fs").writeFileSync("holding", "");
    setTimeout(() => {}, 600000);`;
  production.write("mallory", join(production.homeOf("mallory"), "hold.js"), holder);
  const script = `'${process.execPath}' hold.js & echo $! >holder; wait $!`;
  const held = production.as("mallory", script);
  const home = production.homeOf("mallory");
  await until("the connections", () => existsSync(join(home, "holding")));
  const { code, stderr } = await production.as(
    "victim",
    `${sendmail} victim@mx.example`,
    { ROOT: production.root },
    "Subject: others\n\n",
  );
  process.kill(Number(readFileSync(join(home, "holder"), "utf8")), "SIGKILL");
  await held;
  assert.equal(code, 0, stderr);
  await until("the message", () => arrived("victim", "others").length === 1);
  assert.deepEqual(arrived("victim", "held"), []);
});

test("a user whose programs never end keeps no other one from getting mail", { skip }, async () => {
  const many = Array.from({ length: 150 }, (_, at) => `hanger-${at}@mx.example`);
  for (let at = 0; at < many.length; at += 50) assert.match(await production.send(many.slice(at, at + 50)), /^250/);
  const uid = String(production.uidOf("hanger"));
  const running = (): number =>
    descendants(production.process.pid ?? 0).filter((pid) => runsAs(pid, uid, "sleep")).length;
  await until("some of them running", () => running() >= 10);
  assert.match(await production.send(["victim@mx.example"], "Subject: unhindered\n\n"), /^250/);
  await until("the victim's mail", () => arrived("victim", "unhindered").length === 1, 20_000);
  for (const pid of descendants(production.process.pid ?? 0))
    if (runsAs(pid, uid, "sleep")) process.kill(pid, "SIGKILL");
});

function runsAs(pid: number, uid: string, name: string): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return status.includes(`\nUid:\t${uid}\t`) && status.startsWith(`Name:\t${name}\n`);
  } catch {
    return false;
  }
}

test("after all of that every program is the one it was, and nothing of anybody else's is a user's", {
  skip,
}, async () => {
  const now = (await production.status()).map(({ pid }) => pid);
  assert.deepEqual(
    pids.filter((pid) => !now.includes(pid)),
    [],
  );
  assert.equal(readFileSync(join(production.homeOf("victim"), "private"), "utf8"), "secret of the victim\n");
  for (const folder of ["run/postern", "run/postern/submission", "etc/postern/control", "var/lib/postern/queue"]) {
    const planted = join(production.root, folder, "planted");
    const { code } = await production.as("mallory", `echo >'${planted}'`);
    assert.notEqual(code, 0);
    assert.ok(!existsSync(planted));
  }
  assert.ok(readdirSync(join(production.root, "run/postern")).length > 0);
});
