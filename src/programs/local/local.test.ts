import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { readSettings } from "../../protocol/control/parse.ts";
import { accountsCdb } from "../../protocol/users/accounts-cdb.ts";
import {
  bodyEnd,
  deliver,
  deliveryBodyType,
  deliveryCredit,
  deliveryWindowOctets,
  ended,
  forward,
  report,
  settled,
} from "../../protocol/wire/delivery.ts";
import {
  askMailbox,
  cannotTell,
  doesNotExist,
  exists,
  mailboxAnswer,
  overQuotaForNow,
} from "../../protocol/wire/directory.ts";
import { encodeFrame } from "../../protocol/wire/frame.ts";
import { type Channel, createChannel } from "../../services/channel/channel.ts";
import { launch } from "../../services/launch/launch.ts";
import type { LaunchPlan } from "../../services/launch/plan.ts";
import { nodeFiles } from "../../services/maildir/files.ts";
import { makeMaildir } from "../../services/maildir/folder.ts";

/** `local` and its workers as real processes, inside their walls; this file plays supervise and queue. */
const code = resolve(import.meta.dirname, "../..");
const root = mkdtempSync(join(tmpdir(), "postern-local-"));
const places = { mail: join(root, "mail"), users: join(root, "users"), alias: join(root, "alias") };
const open = { read: ["/"], write: [], network: "none", ffi: true, kernel: "open" } as const;
const closed = { read: [], write: [], network: "none", ffi: false, kernel: "confined" } as const;
const limits = { descriptors: 256, heapMiB: 64 };
const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
/** Nobody in particular. */
const otherId = 54_321;
const planOf = (program: string, wall: typeof open | typeof closed): LaunchPlan => ({
  node: process.execPath,
  code,
  program,
  wall: { ...wall, limits },
});

const start = async (embedded: boolean): Promise<ChildProcess> => {
  const program = launch(planOf("local", open), { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  await once(program, "message");
  const settings = readSettings(
    new Map([
      ["mailboxdomains", "box.test:create\nplain.test\nnofolder.test\nacc.test:accounts\nlost.test:accounts\n"],
      ["concurrencylocal", "5\n"],
    ]),
  );
  assert.equal(settings.kind, "done");
  const aliasUser = { ...self, name: "alias", home: places.alias };
  const facts = {
    embedded,
    mailFolder: places.mail,
    usersFolder: places.users,
    accountsFile: join(root, "accounts.cdb"),
    mailUser: self,
    aliasUser,
  };
  program.send({
    kind: "start",
    settings: settings.kind === "done" ? settings.value : undefined,
    listeners: {},
    facts: { ...facts, deliver: planOf("deliver", closed), pop3session: planOf("pop3session", closed) },
  });
  await once(program, "message");
  return program;
};
const stop = async (program: ChildProcess): Promise<void> => {
  program.send({ kind: "stop" });
  await once(program, "exit");
};

let local: ChildProcess;
before(async () => {
  for (const folder of Object.values(places)) mkdirSync(folder, { mode: 0o700 });
  const lines = ["files", "script", "stuck"].map((name) => `=${name}:me:1:1:${root}/home:-:${name}:\n`);
  const book = accountsCdb([
    ["@acc.test", { kind: "domain", catchAll: [] }],
    ["joe@acc.test", { kind: "mailbox", quota: "" }],
    ["full@acc.test", { kind: "mailbox", quota: "1C" }],
    ["info@acc.test", { kind: "alias", targets: ["joe@acc.test", "x@far.test"] }],
  ]);
  assert.ok(book.kind === "done");
  writeFileSync(join(root, "accounts.cdb"), book.value);
  mkdirSync(join(root, "home"), { mode: 0o700 });
  const other = `=other:other:${otherId}:${otherId}:${root}/other:::\n`;
  writeFileSync(join(places.users, "assign"), `${lines.join("")}${other}.\n`);
  local = await start(true);
});
after(async () => {
  await stop(local);
  rmSync(root, { recursive: true });
});

interface Answer {
  readonly text: string;
  readonly forwards: readonly string[];
}

interface Job {
  readonly name: string;
  readonly to: string;
  readonly body?: string;
}

/** A queue: delivers jobs within their credit, settles what is final. */
class Queue {
  readonly #channel: Channel;
  readonly #jobs = new Map<
    number,
    { answer: PromiseWithResolvers<Answer>; text: string; forwards: string[]; credit: (octets: number) => void }
  >();
  #next = 1;

  static async connect(program = local): Promise<Queue> {
    return new Queue(await connectAs("queue", program));
  }

  constructor(socket: Socket) {
    this.#channel = createChannel(socket, {
      onFrame: ({ type, stream, payload }) => {
        const job = this.#jobs.get(stream);
        if (!job) return "broken";
        if (type === report.type) job.text = `${report.decode(payload)?.letter}${report.decode(payload)?.text}`;
        else if (type === forward.type) {
          const fields = forward.decode(payload);
          job.forwards.push(
            `${fields?.reversePath} ${Buffer.from(fields?.prefix ?? [])}${fields?.forwardPaths.length}`,
          );
        } else if (type === deliveryCredit.type) job.credit(deliveryCredit.decode(payload)?.octets ?? 0);
        else if (type === ended.type) {
          this.#jobs.delete(stream);
          if (!job.text.startsWith("Z")) this.#channel.send(settled.encode(stream, {}));
          job.answer.resolve({ text: job.text, forwards: job.forwards });
        }
        return undefined;
      },
      onClose: (why) => {
        for (const { answer } of this.#jobs.values()) answer.reject(new Error(why));
      },
    });
  }

  deliver({ name, to, body = "Subject: x\n\nbody\n" }: Job): Promise<Answer> {
    const stream = this.#next++;
    const octets = body.length;
    const answer = Promise.withResolvers<Answer>();
    let at = 0;
    let window = deliveryWindowOctets;
    const send = (): void => {
      while (at < octets && window > 0) {
        const piece = body.slice(at, at + Math.min(window, 50_000));
        at += piece.length;
        window -= piece.length;
        this.#channel.send(encodeFrame(deliveryBodyType, stream, Buffer.from(piece, "latin1")));
        if (at === octets) this.#channel.send(bodyEnd.encode(stream, {}));
      }
    };
    const credit = (more: number): void => {
      window += more;
      send();
    };
    this.#jobs.set(stream, { answer, text: "", forwards: [], credit });
    const fields = { queueId: 1, name, arrivedMs: 0, octets, bodyKind: 0, attempt: 1, reversePath: "a@b" };
    this.#channel.send(deliver.encode(stream, { ...fields, numbers: [1], forwardPaths: [to] }));
    send();
    return answer.promise;
  }

  close(): void {
    this.#channel.close();
  }
}

const filesIn = (...path: string[]) => readdirSync(join(root, ...path));
const trace = (to: string) => `Return-Path: <a@b>\nDelivered-To: ${to}\n`;
const childrenOf = (pid: number | undefined): readonly number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").split(" ").filter(Boolean).map(Number);
const workers = () => childrenOf(local.pid);

/** Sends the program a fresh connection as from `peer`; returns the other end of it. */
async function connectAs(peer: string, program = local): Promise<Socket> {
  const path = join(root, `pair-${Math.random()}`);
  const accepted = Promise.withResolvers<Socket>();
  const server = createServer({ pauseOnConnect: true }, accepted.resolve).listen(path);
  const near = connect(path);
  program.send({ kind: "peer", name: peer }, await accepted.promise);
  server.close();
  return near;
}

const mailboxes: readonly { to: string; answer: number; why: string }[] = [
  { to: "new@box.test", answer: exists, why: "its first message would make it" },
  { to: ".hidden@plain.test", answer: doesNotExist, why: "that could never be a folder" },
  { to: "There@plain.test", answer: exists, why: "the folder is there" },
  { to: "there-ext@plain.test", answer: doesNotExist, why: "without a .qmail-ext" },
  { to: "there-list@plain.test", answer: exists, why: "by .qmail-list" },
  { to: "there-run@plain.test", answer: exists, why: "a program takes it, or refuses later" },
  { to: "full@plain.test", answer: overQuotaForNow, why: "its quota is used up" },
  { to: "else@plain.test", answer: doesNotExist, why: "no folder" },
  { to: "x@nofolder.test", answer: cannotTell, why: "the domain's folder is missing: an accident" },
  { to: "known@else.test", answer: exists, why: "by the alias user's .qmail-known" },
  { to: "unknown@else.test", answer: doesNotExist, why: "nobody's" },
  { to: "script@gone.test", answer: cannotTell, why: "its home is writable by others" },
  { to: "joe@acc.test", answer: exists, why: "an account, though its folder is still to be made" },
  { to: "joe-x@acc.test", answer: doesNotExist, why: "without a .qmail-x" },
  { to: "info@acc.test", answer: exists, why: "an alias" },
  { to: "full@acc.test", answer: overQuotaForNow, why: "the account's quota is used up" },
  { to: "nobody@acc.test", answer: doesNotExist, why: "no account, no catch-all" },
  { to: "joe@lost.test", answer: cannotTell, why: "a domain that accounts.cdb does not know" },
  { to: "", answer: doesNotExist, why: "no host" },
  { to: "@box.test", answer: exists, why: "thrown away" },
];

test("directory is told which mailboxes exist, and nothing is made by asking", async (t) => {
  mkdirSync(join(places.mail, "plain.test/there"), { recursive: true, mode: 0o700 });
  writeFileSync(join(places.mail, "plain.test/there/.qmail-list"), "&a@b.test\n");
  writeFileSync(join(places.mail, "plain.test/there/.qmail-run"), "|true\n");
  makeMaildir(nodeFiles, join(places.mail, "plain.test/full/Maildir"));
  writeFileSync(join(places.mail, "plain.test/full/Maildir/maildirsize"), "1C\n5 1\n");
  makeMaildir(nodeFiles, join(places.mail, "acc.test/full/Maildir"));
  writeFileSync(join(places.mail, "acc.test/full/Maildir/new/1.x"), "x");
  writeFileSync(join(places.alias, ".qmail-known"), "&a@b.test\n");
  chmodSync(join(root, "home"), 0o707);
  t.after(() => {
    chmodSync(join(root, "home"), 0o700);
    rmSync(join(places.alias, ".qmail-known"));
    channel.close();
  });
  const answers = new Map<number, number>();
  const socket = await connectAs("directory");
  let whenAnswered = (): void => {};
  const channel = createChannel(socket, {
    onFrame({ type, stream, payload }) {
      assert.equal(type, mailboxAnswer.type);
      answers.set(stream, mailboxAnswer.decode(payload)?.answer ?? -1);
      whenAnswered();
      return undefined;
    },
    onClose: () => {},
  });
  for (const [at, { to, answer, why }] of mailboxes.entries()) {
    const answered = new Promise<void>((resolve) => {
      whenAnswered = resolve;
    });
    channel.send(askMailbox.encode(at, { address: to }));
    await answered;
    assert.equal(answers.get(at), answer, `${to}: ${why}`);
  }
  assert.equal(existsSync(join(places.mail, "box.test/new")), false);
});

test("local and deliver make a mailbox, store in it, and remove the mark when it is settled", async () => {
  const queue = await Queue.connect();
  assert.deepEqual(await queue.deliver({ name: "m1", to: "Joe@box.test" }), { text: "Kdid 1+0+0\n", forwards: [] });
  const [file = ""] = filesIn("mail/box.test/joe/Maildir/new");
  assert.equal(file, "m1R1.localhost,S=63");
  const text = readFileSync(join(places.mail, "box.test/joe/Maildir/new", file), "latin1");
  assert.equal(text, `${trace("Joe@box.test")}Subject: x\n\nbody\n`);
  await queue.deliver({ name: "m2", to: "joe@box.test" });
  assert.equal(filesIn("mail/box.test/joe/Maildir/tmp").includes(`${file}.q`), false);
  queue.close();
});

test("an account's mail makes its folder and its Maildir; an alias forwards as a .qmail file does", async () => {
  const queue = await Queue.connect();
  assert.equal((await queue.deliver({ name: "a1", to: "Joe@acc.test" })).text, "Kdid 1+0+0\n");
  const [file = ""] = filesIn("mail/acc.test/joe/Maildir/new");
  const stored = readFileSync(join(places.mail, "acc.test/joe/Maildir/new", file), "latin1");
  assert.ok(stored.startsWith(trace("Joe@acc.test")));
  assert.deepEqual(
    await queue.deliver({ name: "a2", to: "info@acc.test", body: `Subject: x\n\n${"x".repeat(100_000)}\n` }),
    {
      text: "Kdid 0+2+0\n",
      forwards: ["a@b Delivered-To: info@acc.test\n2"],
    },
  );
  const refused = await queue.deliver({ name: "a3", to: "nobody@acc.test" });
  assert.equal(refused.text, "DSorry, no mailbox here by that name. (#5.1.1)\n");
  assert.equal((await queue.deliver({ name: "a4", to: "full@acc.test" })).text, "ZThe mailbox is full. (#5.2.2)\n");
  assert.equal((await queue.deliver({ name: "a5", to: "joe@lost.test" })).text.charAt(0), "Z");
  writeFileSync(join(places.mail, "acc.test/joe/.qmail-list"), "./Maildir/\n&x@far.test\n");
  assert.equal((await queue.deliver({ name: "a6", to: "joe-list@acc.test" })).text, "Kdid 1+1+0\n");
  queue.close();
});

test("local and deliver stream a message of any size, within the credit", async () => {
  const queue = await Queue.connect();
  const body = `Subject: long\n\n${"0123456789".repeat(300_000)}\n`;
  assert.equal((await queue.deliver({ name: "long", to: "big@box.test", body })).text, "Kdid 1+0+0\n");
  const [file = ""] = filesIn("mail/box.test/big/Maildir/new");
  assert.equal(
    readFileSync(join(places.mail, "box.test/big/Maildir/new", file), "latin1"),
    trace("big@box.test") + body,
  );
  queue.close();
});

test("local answers for nobody, and for addresses nobody has", async () => {
  const queue = await Queue.connect();
  assert.equal((await queue.deliver({ name: "m3", to: "@box.test" })).text, "K");
  assert.equal(
    (await queue.deliver({ name: "m4", to: "who@else.test" })).text,
    "DSorry, no mailbox here by that name. (#5.1.1)\n",
  );
  queue.close();
});

test("forwards come before the report, and go on from the owner", async () => {
  const queue = await Queue.connect();
  writeFileSync(join(places.alias, ".qmail-all"), "one@x\ntwo@x\n");
  writeFileSync(join(places.alias, ".qmail-all-owner"), "");
  assert.deepEqual(await queue.deliver({ name: "m5", to: "all@else.test" }), {
    text: "Kdid 0+2+0\n",
    forwards: ["all-owner@else.test Delivered-To: all@else.test\n2"],
  });
  queue.close();
});

const programs: readonly { line: string; report: string }[] = [
  { line: "|cat", report: "KSubject: x\n\nbody\ndid 0+0+1\n" },
  { line: "|head -c 5 >/dev/null; cat | head -c 3; pwd", report: `Kct:${join(root, "home")}\ndid 0+0+1\n` },
  {
    line: '|echo "$LOCAL $HOST $EXT $SENDER $HOME"; printf %s "$DTLINE"',
    report: `Kscript else.test script a@b ${join(root, "home")}\nDelivered-To: script@else.test\ndid 0+0+1\n`,
  },
  {
    line: "|env | grep = | cut -d= -f1 | grep -v '^_$' | sort | tr '\\n' ' '",
    report:
      "KDTLINE EXT EXT2 EXT3 EXT4 HOME HOST HOST2 HOST3 HOST4 LOCAL NEWSENDER PATH POSTERN_ROOT PWD RECIPIENT RPLINE SENDER UFLINE USER did 0+0+1\n",
  },
  { line: "|echo no; exit 100", report: "Dno\n" },
  { line: "|echo later >&2; exit 111", report: "Zlater\n" },
  { line: "|exit 99\n&never@x", report: "Kdid 0+0+1\n" },
  { line: "|kill -9 $$", report: "ZAack, child crashed. (#4.3.0)\n" },
  { line: "|test -r /proc/self/fd/0 && : <&0 && dd bs=1 skip=9 count=1 2>/dev/null", report: "Kxdid 0+0+1\n" },
];
for (const { line, report: expected } of programs) {
  test(`a program ${line.split("\n")[0]} is run by local: ${JSON.stringify(expected)}`, async () => {
    const queue = await Queue.connect();
    writeFileSync(join(root, "home/.qmail-script"), `${line}\n`);
    assert.equal((await queue.deliver({ name: "m6", to: "script@else.test" })).text, expected);
    queue.close();
  });
}

test("§17.51 a program that never ends holds up nobody else, and ends with its worker", async () => {
  const queue = await Queue.connect();
  writeFileSync(join(root, "home/.qmail-stuck"), "|echo $$ >pid; exec sleep 1000\n");
  writeFileSync(join(root, "home/.qmail-files"), "./box\n");
  const stuck = queue.deliver({ name: "m7", to: "stuck@else.test" });
  assert.equal((await queue.deliver({ name: "m8", to: "files@else.test" })).text, "Kdid 1+0+0\n");
  while (!filesIn("home").includes("pid")) await queue.deliver({ name: "m8", to: "joe@box.test" });
  const program = Number(readFileSync(join(root, "home/pid"), "latin1"));
  for (const pid of workers()) if (pid !== program) process.kill(pid, "SIGKILL");
  assert.equal((await stuck).text, "Zdeliver crashed. (#4.3.0)\n");
  while (workers().includes(program)) await queue.deliver({ name: "m8", to: "joe@box.test" });
  queue.close();
});

test("programs of one user that never end leave places to others; what is only stored waits for nobody", async () => {
  const queue = await Queue.connect();
  writeFileSync(join(root, "home/.qmail-stuck"), "|exec sleep 1000\n");
  writeFileSync(join(root, "home/.qmail-files"), "./many/\n");
  makeMaildir(nodeFiles, join(root, "home/many"));
  const programs = Array.from({ length: 6 }, (_, n) => queue.deliver({ name: `p${n}`, to: "stuck@else.test" }));
  const files = Array.from({ length: 50 }, (_, n) => queue.deliver({ name: `f${n}`, to: "files@else.test" }));
  for (const { text } of await Promise.all(files)) assert.equal(text, "Kdid 1+0+0\n");
  const tooMany = await Promise.all(programs.slice(4));
  for (const { text } of tooMany) assert.equal(text, "Ztoo many programs of one user at once, try later. (#4.3.2)\n");
  for (const pid of workers()) process.kill(pid, "SIGKILL");
  for (const { text } of await Promise.all(programs.slice(0, 4))) assert.match(text, /^Z/);
  queue.close();
});

test("every message is stored exactly once, whoever is killed while it is delivered, and repeated", async () => {
  const queue = await Queue.connect();
  writeFileSync(join(root, "home/.qmail-files"), "./box2\n");
  const jobs: Job[] = Array.from({ length: 400 }, (_, n) => ({
    name: `load${n}`,
    to: n % 16 === 0 ? "files@else.test" : `user${n % 7}@box.test`,
    body: `Subject: ${n}\n\nmessage ${n}\n`,
  }));
  const stored = () =>
    Array.from({ length: 7 }, (_, n) => join(places.mail, `box.test/user${n}/Maildir/new`))
      .filter((folder) => existsSync(folder))
      .flatMap((folder) => readdirSync(folder));
  let crashes = 0;
  let left = jobs;
  for (let round = 0; left.length > 0; round++) {
    const enough = stored().length + 30;
    let hasAnswered = false;
    const answers = Promise.all(left.map((job) => queue.deliver(job))).finally(() => {
      hasAnswered = true;
    });
    while (round < 5 && !hasAnswered && stored().length < enough) await turn();
    if (round < 5) for (const pid of workers()) process.kill(pid, "SIGKILL");
    const results = (await answers).map(({ text }) => text);
    crashes += results.filter((text) => text.startsWith("Zdeliver crashed")).length;
    left = left.filter((_, n) => !results[n]?.startsWith("K"));
  }
  assert.ok(crashes > 0);
  const isNamed = (name: string) => (file: string) => file.startsWith(`${name}R1.localhost,S=`);
  const mbox = readFileSync(join(root, "home/box2"), "latin1");
  for (const [n, { name, to }] of jobs.entries()) {
    if (to.startsWith("files")) assert.equal(mbox.split(`message ${n}\n`).length, 2, name);
    else assert.ok(filesIn("mail/box.test", `user${n % 7}`, "Maildir/new").some(isNamed(name)), name);
  }
  assert.equal(mbox.match(/^From /gm)?.length, 25);
  assert.equal(stored().length, 375);
  queue.close();
});

function isAlive(pid: number): boolean {
  try {
    return !/ [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}

/** Kills `local` while its workers stand still, and waits until they are gone: nobody else has told them to. */
async function killStanding(program: ChildProcess): Promise<void> {
  const standing = childrenOf(program.pid);
  assert.ok(standing.length > 0);
  for (const worker of standing) process.kill(worker, "SIGSTOP");
  program.kill("SIGKILL");
  while (standing.some(isAlive)) await turn();
}

test("a worker ends with local, whatever it is at: the next local has its mail delivered by another", async () => {
  const program = await start(true);
  const queue = await Queue.connect(program);
  await queue.deliver({ name: "p1", to: "joe@box.test" });
  await killStanding(program);
});

test("a retired worker ends with the connection of queue, which has its mail delivered by another", async () => {
  const program = await start(true);
  const queue = await Queue.connect(program);
  rmSync(join(root, "home/pid"), { force: true });
  writeFileSync(join(root, "home/.qmail-stuck"), "|echo $$ >pid; exec sleep 1000\n");
  const given = queue.deliver({ name: "r1", to: "stuck@else.test" });
  while (!filesIn("home").includes("pid")) await turn();
  const [worker = 0] = childrenOf(program.pid);
  process.kill(worker, "SIGSTOP");
  const settings = readSettings(new Map([["mailboxdomains", "box.test:create\n"]]));
  program.send({ kind: "reload", settings: settings.kind === "done" ? settings.value : undefined });
  const next = await Queue.connect(program);
  assert.equal((await next.deliver({ name: "r2", to: "files@else.test" })).text, "Kdid 1+0+0\n");
  assert.ok(isAlive(worker));
  queue.close();
  await assert.rejects(given);
  while (isAlive(worker)) await turn();
  next.close();
  await stop(program);
});

const isRoot = process.getuid?.() === 0;
test("§17.53 §17.54 as root, a user's mail and programs are that user's alone", {
  skip: !isRoot && "needs root",
}, async () => {
  chmodSync(root, 0o711);
  const home = join(root, "other");
  makeMaildir(nodeFiles, join(home, "Maildir"));
  for (const path of ["", "Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur"])
    chownSync(join(home, path), otherId, otherId);
  writeFileSync(join(home, ".qmail"), "./Maildir/\n|id -u; id -G; pwd; cat; cat ../home/.qmail-files\n");
  const program = await start(false);
  try {
    const queue = await Queue.connect(program);
    const { text } = await queue.deliver({ name: "o1", to: "other@else.test", body: "body\n" });
    assert.match(text, new RegExp(`^Z${otherId}\n${otherId}\n${home}\nbody\n.*Permission denied`));
    const [file = ""] = filesIn("other/Maildir/new");
    assert.equal(statSync(join(home, "Maildir/new", file)).uid, otherId);
    const asRoot = await queue.deliver({ name: "o2", to: "joe@box.test" });
    assert.equal(asRoot.text, "ZNot allowed to perform deliveries as root. (#4.7.0)\n");
    await killStanding(program);
  } finally {
    program.kill("SIGKILL");
  }
});
