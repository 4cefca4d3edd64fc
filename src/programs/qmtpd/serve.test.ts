import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { FakeQueue } from "../../../test/dialogues/fake-queue.ts";
import { readSettings } from "../../protocol/control/parse.ts";
import type { Event } from "../../protocol/event/event.ts";
import { encodeNetstring } from "../../protocol/netstring.ts";
import { done, permanent, temporary } from "../../protocol/outcome.ts";
import { submissionWindowOctets } from "../../protocol/wire/submission.ts";
import { createQueueClient } from "../../services/submission/queue-client.ts";
import { type Bounds, bounds, createQmtpService } from "./serve.ts";

const nowMs = 810_362_814_000;
const received = "Received: from unknown (127.0.0.1)\n  by mx.example with QMTP; 6 Sep 1995 04:46:54 -0000\n";
const usual = { me: "mx.example", locals: "here.example\n", databytes: "1000", maxrecipients: "100", maxhops: "10" };

async function open(control: Readonly<Record<string, string>> = usual, changed: Partial<Bounds> = {}) {
  const settings = readSettings(new Map(Object.entries(control)));
  if (settings.kind !== "done") throw new Error(settings.text);
  const client = createQueueClient();
  const events: Event[] = [];
  const made = createQmtpService({
    settings: settings.value,
    submit: async () => client.submit(),
    submitToHook: async () => client.submit(),
    log: (event) => void events.push(event),
    now: () => nowMs,
    bounds: { ...bounds, ...changed },
  });
  if (made.kind !== "done") throw new Error(made.text);
  const service = made.value;
  const queue = new FakeQueue();
  await queue.connect(client.attach);
  const server = createServer({ allowHalfOpen: true }, service.take).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    queue,
    events,
    service,
    call: (): Socket => connect({ port: address.port, host: "127.0.0.1", allowHalfOpen: true }),
    async [Symbol.asyncDispose]() {
      server.close();
      await service.stop();
      await queue.hangUp();
    },
  };
}

/** Sends `wire` and the end; resolves with all that is answered. */
async function ask(socket: Socket, wire: string, size = wire.length): Promise<string> {
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  socket.on("error", () => {});
  for (let at = 0; at < wire.length; at += size) {
    if (!socket.write(wire.slice(at, at + size), "latin1")) await once(socket, "drain");
    if (size < 100) await new Promise(setImmediate); // else the kernel puts the pieces together again
  }
  socket.end();
  await once(socket, "close");
  return text;
}

const netstring = (text: string): string => encodeNetstring(text).toString("latin1");
const packageOf = (message: string, reversePath: string, ...forwardPaths: readonly string[]): string =>
  netstring(message) + netstring(reversePath) + netstring(forwardPaths.map(netstring).join(""));
const ok = (number: number): string => `Kok 810362814 qp ${number}`;
const notOurs = "Dsorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)";
const cannot = "Dsorry, I can't handle that recipient (#5.1.3)";
const badSender = "Dunacceptable sender (#5.1.7)";
const tooBig = "Dsorry, that message size exceeds my databytes limit (#5.3.4)";
const looping = "Dtoo many hops, this message is looping (#5.4.6)";
const bareCr = "Dthe message holds a bare carriage return (#5.6.11)";
const bareLf = "Dthe message holds a bare line feed (#5.6.11)";

interface Row {
  readonly name: string;
  readonly wire: string;
  readonly answers: readonly string[];
  /** Of the only message queued. */
  readonly body?: string;
  readonly forwardPaths?: readonly string[];
}

/** The number of the statement, if there is one, goes first. */
const title = (subject: string, name: string): string => name.replace(/^(§17\.\d+ )?/, `$1${subject} `);

const r = "r@here.example";
const s = "s@here.example";
const rows: readonly Row[] = [
  {
    name: "§17.175 answers each recipient, in order",
    wire: packageOf("\na: b\n\nc\n", "from@far.example", r, s),
    answers: [ok(1), ok(1)],
    body: "a: b\n\nc\n",
    forwardPaths: [r, s],
  },
  {
    name: "§17.176 turns CR LF into LF after a CR",
    wire: packageOf("\ra: b\r\n\r\nc\r\n", "from@far.example", r),
    answers: [ok(1)],
    body: "a: b\n\nc\n",
    forwardPaths: [r],
  },
  { name: "§17.176 refuses CR after a LF", wire: packageOf("\nc\r\n", "", r, s), answers: [bareCr, bareCr] },
  { name: "§17.176 refuses a bare LF after a CR", wire: packageOf("\rc\n", "", r), answers: [bareLf] },
  { name: "refuses NUL", wire: packageOf("\nc\0", "", r), answers: ["Dthe message holds a NUL (#5.6.0)"] },
  {
    name: "§17.177 refuses a recipient outside rcpthosts while others succeed",
    wire: packageOf("\nm", "from@far.example", "r@else.example", r, "r@elsewhere"),
    answers: [notOurs, ok(1), notOurs],
    body: "m",
    forwardPaths: [r],
  },
  {
    name: "§17.178 answers nothing for no recipients, and serves the next package",
    wire: packageOf("\nm", "from@far.example") + packageOf("\nn", "from@far.example", r),
    answers: [ok(1)],
    body: "n",
    forwardPaths: [r],
  },
  { name: "§17.179 queues nothing of a package cut off", wire: packageOf("\nm", "", r).slice(0, -1), answers: [] },
  { name: "queues nothing when nobody may have it", wire: packageOf("\nm", "", "r@else"), answers: [notOurs] },
  {
    name: "takes databytes octets, counted after conversion",
    wire: packageOf(`\r${"x\r\n".repeat(500)}`, "", r),
    answers: [ok(1)],
    body: "x\n".repeat(500),
    forwardPaths: [r],
  },
  {
    name: "refuses one octet more for all",
    wire: packageOf(`\n${"x".repeat(1_001)}`, "", r, s),
    answers: [tooBig, tooBig],
  },
  { name: "refuses a loop", wire: packageOf(`\n${"Received: x\n".repeat(10)}\n`, "", r), answers: [looping] },
  {
    name: "refuses unfit recipients alone",
    wire: packageOf("\nm", "", "", "a\n@here.example", "x".repeat(1_000), r),
    answers: [cannot, cannot, cannot, ok(1)],
    body: "m",
    forwardPaths: [r],
  },
  { name: "refuses an unfit sender for all", wire: packageOf("\nm", "a\0", r, s), answers: [badSender, badSender] },
  { name: "refuses an overlong sender for all", wire: packageOf("\nm", "a".repeat(1_000), r), answers: [badSender] },
  {
    name: "keeps domains in A-labels, and refuses what is no UTF-8",
    wire: packageOf("\nm", "s@b\xc3\xbccher.example", "j\xc3\xb6rg@here.example", "j\xf6rg@here.example", "r@h\xfc"),
    answers: [ok(1), cannot, cannot],
    body: "m",
    forwardPaths: ["j\xc3\xb6rg@here.example"],
  },
  {
    name: "takes so many recipients, and asks for the rest later",
    wire: packageOf("\nm", "", ...new Array<string>(101).fill(r)),
    answers: [...new Array<string>(100).fill(ok(1)), "Ztoo many recipients (#4.5.3)"],
    body: "m",
    forwardPaths: new Array<string>(100).fill(r),
  },
  {
    name: "answers what came before nonsense",
    wire: `${packageOf("\nm", "", r)}HELO x\r\n${packageOf("\nm", "", r)}`,
    answers: [ok(1)],
    body: "m",
    forwardPaths: [r],
  },
];

for (const { name, wire, answers, body, forwardPaths } of rows) {
  for (const size of [1, 1_000_000]) {
    if (size === 1 && wire.length > 500) continue;
    test(`${title("createQmtpService()", name)}, ${Math.min(size, wire.length)} octets at a time`, async () => {
      await using stage = await open();
      assert.equal(await ask(stage.call(), wire, size), answers.map(netstring).join(""));
      assert.deepEqual(
        stage.queue.messages.map((message) => [message.body, message.forwardPaths]),
        body === undefined ? [] : [[received + body, forwardPaths]],
      );
      await stage.queue.until(() => stage.queue.receivedOctets === 0); // nothing is left half done
    });
  }
}

const verdicts = [
  { verdict: permanent("1.3", "no such place"), answer: "Dno such place (#5.1.3)" },
  { verdict: temporary("3.1", "disk full"), answer: "Zdisk full (#4.3.1)" },
] as const;
for (const { verdict, answer } of verdicts) {
  test(`createQmtpService() tells those who were acceptable: ${answer}`, async () => {
    await using stage = await open();
    stage.queue.answer = () => verdict;
    const answers = await ask(stage.call(), packageOf("\nm", "", "r@else", r, s));
    assert.equal(answers, [notOurs, answer, answer].map(netstring).join(""));
  });
}

test("createQmtpService() answers Z while there is no queue", async () => {
  await using stage = await open();
  await stage.queue.hangUp();
  assert.equal(await ask(stage.call(), packageOf("\nm", "", r)), netstring("Zthe queue is not running (#4.3.0)"));
});

test("createQmtpService() lets a relay client send to anywhere, with what RELAYCLIENT adds", async () => {
  await using stage = await open({ ...usual, smtprules: '127.0.0.1:allow,RELAYCLIENT="@away.example"\n' });
  assert.equal(await ask(stage.call(), packageOf("\nm", "", "r@else")), netstring(ok(1)));
  assert.deepEqual(stage.queue.messages[0]?.forwardPaths, ["r@else@away.example"]);
});

test("createQmtpService() gives a client that is denied nothing at all", async () => {
  await using stage = await open({ ...usual, smtprules: "127.0.0.1:deny\n" });
  assert.equal(await ask(stage.call(), packageOf("\nm", "", r)), "");
  assert.equal(stage.queue.messages.length, 0);
});

test("createQmtpService() gives connections beyond control/maxconnectionsperaddress nothing", async () => {
  await using stage = await open({ ...usual, maxconnectionsperaddress: "1" });
  const first = stage.call();
  await once(first, "connect");
  assert.equal(await ask(stage.call(), packageOf("\nm", "", r)), "");
  assert.equal(await ask(first, packageOf("\nm", "", r)), netstring(ok(1)));
});

test("createQmtpService() serves many packages sent at once", async () => {
  await using stage = await open();
  const wire = Array.from({ length: 300 }, (_, n) => packageOf(`\n${n}\n`, "", r)).join("");
  const answers = Array.from({ length: 300 }, (_, n) => netstring(ok(n + 1))).join("");
  assert.equal(await ask(stage.call(), wire), answers);
  assert.deepEqual(
    stage.queue.messages.map(({ body }) => body),
    Array.from({ length: 300 }, (_, n) => `${received}${n}\n`),
  );
});

test("createQmtpService() streams a body far larger than the window, and no faster than the queue", async () => {
  await using stage = await open({ ...usual, databytes: "0" });
  stage.queue.givesCredit = false;
  const body = "0123456789abcde\n".repeat((5 * submissionWindowOctets) / 16);
  const answers = ask(stage.call(), packageOf(`\n${body}`, "", r));
  await stage.queue.until(() => stage.queue.receivedOctets >= submissionWindowOctets);
  assert.equal(stage.queue.receivedOctets, submissionWindowOctets);
  stage.queue.giveCredit();
  assert.equal(await answers, netstring(ok(1)));
  assert.equal(stage.queue.messages[0]?.body, received + body);
});

test("createQmtpService() keeps no more octets of addresses than it may, and gives them back", async () => {
  await using stage = await open(usual, { addressOctets: 150 });
  const full = "Ztoo many recipients under way, try again later (#4.3.2)";
  const answers = await ask(stage.call(), packageOf("\nm", "", r, r, r) + packageOf("\nm", "", r, r));
  assert.equal(answers, [full, full, full, ok(1), ok(1)].map(netstring).join(""));
});

test("createQmtpService() abandons the package of a client that goes away", async () => {
  await using stage = await open({ ...usual, databytes: "0" });
  stage.queue.givesCredit = false;
  const socket = stage.call();
  socket.write(packageOf(`\n${"x".repeat(4 * submissionWindowOctets)}`, "", r).slice(0, -1), "latin1");
  await stage.queue.until(() => stage.queue.receivedOctets >= submissionWindowOctets);
  socket.resetAndDestroy();
  stage.queue.giveCredit();
  await stage.queue.until(() => stage.queue.abandoned === 1);
  assert.deepEqual(stage.queue.messages, []);
});

test("createQmtpService() stops at once between packages, and lets one under way be answered", async () => {
  await using stage = await open();
  const idle = stage.call();
  const busy = stage.call();
  await Promise.all([once(idle, "connect"), once(busy, "connect")]);
  const held = Promise.withResolvers<void>();
  stage.queue.answer = () => {
    held.resolve();
    return undefined;
  };
  const answer = ask(busy, packageOf("\nm", "", r));
  await held.promise;
  const stopped = stage.service.stop();
  assert.equal(await ask(idle, ""), "");
  stage.queue.answer = () => done(1);
  await stage.queue.hangUp(); // the only verdict there can be now
  assert.match(await answer, /Zthe queue went away before it answered/);
  await stopped;
});

test("createQmtpService() ends a connection after its hour, whatever it does", async () => {
  await using stage = await open(usual, { sessionMs: 1 });
  const socket = stage.call().resume();
  await once(socket, "end");
  socket.destroy();
  await stage.service.stop();
  assert.ok(stage.events.some(({ event }) => event === "disconnection"));
});
