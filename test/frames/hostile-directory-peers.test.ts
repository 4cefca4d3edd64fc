import assert from "node:assert/strict";
import { test } from "node:test";
import { createLocalLink } from "../../src/programs/directory/local-link.ts";
import { createLogins, type Logins } from "../../src/programs/directory/logins.ts";
import { serveClient } from "../../src/programs/directory/serve.ts";
import { serveDirectory } from "../../src/programs/local/serve-directory.ts";
import { createTickets } from "../../src/programs/local/tickets.ts";
import { done, permanent } from "../../src/protocol/outcome.ts";
import * as directory from "../../src/protocol/wire/directory.ts";
import { Source } from "../fuzz/source.ts";
import { unlessLong } from "../support/missing.ts";
import { anyAddress, anyText, FakeSocket, hostileFrame, type Kind, turn } from "./hostile-frames.ts";

const seeds = unlessLong() ? 40 : 1_000;
const rounds = 25;
const streams = [1, 2, 3, 4, 5];

const asksBadly: readonly Kind[] = [
  (source, stream) => directory.askRecipient.encode(stream, { address: anyAddress(source) }),
  (source, stream) => directory.askRecipient.encode(stream, { address: anyText(source) }),
  (source, stream) => directory.askRelay.encode(stream, { address: anyText(source) }),
  (source, stream) => directory.askPlace.encode(stream, { address: anyText(source) }),
  (source, stream) => directory.recipientAnswer.encode(stream, { answer: source.below(256) }),
  (source, stream) => directory.askMailbox.encode(stream, { address: anyAddress(source) }),
  (_, stream) => directory.forgetMailbox.encode(stream, {}),
  (source, stream) => directory.askPassword.encode(stream, { account: anyText(source), password: source.octets(600) }),
  (_, stream) => directory.saslCancel.encode(stream, {}),
  (source, stream) => directory.askSender.encode(stream, { account: anyText(source), address: anyAddress(source) }),
  (source, stream) =>
    beginFrame(
      stream,
      source.pick(["PLAIN", "LOGIN", "SCRAM-SHA-256", "CRAM-MD5", "X", ""]),
      source.oneIn(4) ? undefined : source.pick(["", "\0joe\0right", "\0joe\0wrong", "n,,n=joe,r=abc"]),
      source.pick(["smtp", "smtp", "smtp", "pop3", "root"]),
    ),
  (source, stream) => directory.saslResponse.encode(stream, { octets: source.octets(source.oneIn(8) ? 20_000 : 50) }),
  (_, stream) => directory.saslResponse.encode(stream, { octets: Buffer.from("right") }),
  (source, stream) => directory.grant.encode(stream, { ticket: source.octets(80), address: anyText(source) }),
];

/** Logins with "right" as the password end well, all others badly. */
const logins: Logins = createLogins({
  passwords: () => ({
    check: async (_, password) =>
      password.toString() === "right" ? { kind: "right" } : { kind: "wrong", why: "wrong password" },
    keysOf: () => ({ iterations: 1, salt: Buffer.alloc(16), storedKey: Buffer.alloc(32), serverKey: Buffer.alloc(32) }),
    secretOf: () => undefined,
    isEnabled: () => true,
  }),
  guesses: {
    refusal: () => undefined,
    who: (_, account) => account,
    failed: () => 0,
    succeeded: () => {},
    limit: () => {},
  },
  host: () => "here.example",
  keepsPasswords: () => true,
  grant: async () => {},
  reads: () => {},
  note: () => {},
  log: () => {},
  wait: async () => {},
});
const desk = { askRecipient: async () => directory.exists, askSender: async () => 1, mayRelay: () => false, logins };

const beginFrame = (stream: number, mechanism: string, initial: string | undefined, service = "smtp"): Buffer =>
  directory.saslBegin.encode(stream, {
    ...{ service, mechanism, address: "192.0.2.1", hasInitial: initial === undefined ? 0 : 1 },
    ...{ initial: Buffer.from(initial ?? "", "latin1"), bindingType: "", binding: Buffer.alloc(0) },
  });

test(`directory answers another smtpd while one sends what it likes, ${seeds} times`, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const source = new Source(seed);
    const honest = new FakeSocket();
    serveClient(honest, desk);
    let hostile = new FakeSocket();
    serveClient(hostile, desk);
    for (let round = 1; round <= rounds; round++) {
      if (hostile.isGone) {
        hostile = new FakeSocket();
        serveClient(hostile, desk);
      }
      hostile.say(...source.list(15, () => hostileFrame(source, asksBadly, streams)));
      honest.say(directory.askRecipient.encode(2 * round, { address: "a@here.example" }));
      honest.say(beginFrame(2 * round + 1, "PLAIN", "\0joe\0right"));
      await turn();
    }
    for (let turns = 0; turns < 5; turns++) await turn();
    const answers = new Map(
      honest
        .takeSent()
        .map(({ type, stream, payload }) => [
          stream,
          type === directory.saslEnd.type
            ? directory.saslEnd.decode(payload)?.letter
            : directory.recipientAnswer.decode(payload)?.answer,
        ]),
    );
    assert.equal(answers.size, 2 * rounds);
    for (const [stream, answer] of answers) assert.equal(answer, stream % 2 === 0 ? directory.exists : "K");
    assert.equal(honest.isGone, false);
  }
});

test("directory tells a peer with too many questions that it cannot tell, and hangs up on one that reads nothing", async () => {
  const socket = new FakeSocket();
  serveClient(socket, { ...desk, askRecipient: () => new Promise(() => {}) });
  for (let n = 1; n <= 10_001; n++) socket.say(directory.askRecipient.encode(n, { address: "a@b" }));
  await turn();
  assert.deepEqual(
    socket.takeSent().map(({ stream }) => stream),
    [10_001],
  );
  socket.unreadOctets = 16_777_217;
  socket.say(directory.askRecipient.encode(10_002, { address: "a@b" }));
  assert.equal(socket.isGone, true);
});

const site = {
  defaultDelivery: () => "./Maildir/",
  fullIsPermanent: () => false,
  isOpen: () => true,
  checkPassword: async () => "K" as const,
  tickets: createTickets(() => 0),
  place: async () => permanent("1.1", "no such mailbox"),
};
test("directory gives every login one end, whatever a client's responses are", async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const source = new Source(seed);
    const socket = new FakeSocket();
    serveClient(socket, desk);
    const begun = Array.from({ length: 40 }, (_, n) => n + 1);
    for (const stream of begun) {
      socket.say(beginFrame(stream, source.pick(["PLAIN", "LOGIN", "SCRAM-SHA-256", "CRAM-MD5"]), undefined));
    }
    const ended: number[] = [];
    for (let round = 0; round < 12; round++) {
      await turn();
      for (const { type, stream } of socket.takeSent()) {
        if (type === directory.saslEnd.type) ended.push(stream);
        else
          socket.say(
            directory.saslResponse.encode(stream, {
              octets: Buffer.from(anyText(source), "latin1").subarray(0, 9_000),
            }),
          );
      }
    }
    assert.equal(socket.isGone, false);
    assert.deepEqual(
      ended.toSorted((a, b) => a - b),
      begun,
    );
  }
});

const answersBadly: readonly Kind[] = [
  (source, stream) => directory.mailboxAnswer.encode(stream, { answer: source.pick([0, 1, 2, 3, 4, 5, 255]) }),
  (source, stream) => directory.askMailbox.encode(stream, { address: anyAddress(source) }),
  (source, stream) => directory.passwordAnswer.encode(stream, { letter: source.pick(["K", "D", "Z", "", "KK"]) }),
];

test(`directory gives every question one answer, whatever local says, ${seeds} times`, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const source = new Source(seed);
    const link = createLocalLink();
    const answers: Promise<number>[] = [];
    let socket = new FakeSocket();
    link.attach(socket);
    for (let round = 1; round <= rounds; round++) {
      if (socket.isGone) {
        socket = new FakeSocket();
        link.attach(socket);
      }
      answers.push(...source.list(12, () => link.ask("a@here.example")));
      await turn();
      const theirs = [1, ...socket.takeSent().map(({ stream }) => stream)];
      socket.say(...source.list(8, () => hostileFrame(source, answersBadly, theirs)));
    }
    for (let turns = 0; turns < 400; turns++) {
      if (socket.isGone) {
        socket = new FakeSocket();
        link.attach(socket);
      }
      await turn();
      for (const { stream } of socket.takeSent()) socket.say(directory.mailboxAnswer.encode(stream, { answer: 2 }));
      socket.emit("close");
      socket.isGone = true;
    }
    for (const answer of await Promise.all(answers)) assert.ok(answer >= 0 && answer <= directory.overQuotaForGood);
  }
});

test("directory cannot tell when local stays away", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const answer = createLocalLink().ask("a@here.example");
  t.mock.timers.tick(60_000);
  assert.equal(await answer, directory.cannotTell);
});

test(`local answers one directory while another sends what it likes, ${seeds} times`, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const source = new Source(seed);
    const noWorkers = {
      take: () => assert.fail(),
      retire: () => {},
      endRetired: () => {},
      endPrograms: () => {},
      close: () => {},
    };
    const desk = { route: () => done(undefined), workers: noWorkers, ...site };
    const honest = new FakeSocket();
    serveDirectory(honest, desk);
    let hostile = new FakeSocket();
    serveDirectory(hostile, desk);
    for (let round = 1; round <= rounds; round++) {
      if (hostile.isGone) {
        hostile = new FakeSocket();
        serveDirectory(hostile, desk);
      }
      hostile.say(...source.list(15, () => hostileFrame(source, asksBadly, streams)));
      honest.say(directory.askMailbox.encode(round, { address: "a@here.example" }));
      await turn();
    }
    await turn();
    assert.equal(honest.takeSent().length, rounds);
    assert.equal(honest.isGone, false);
  }
});

test("local hangs up on a directory that asks too much at once", () => {
  const noWorkers = {
    take: () => assert.fail(),
    retire: () => {},
    endRetired: () => {},
    endPrograms: () => {},
    close: () => {},
  };
  const never = { route: () => new Promise<never>(() => {}), workers: noWorkers, ...site };
  const socket = new FakeSocket();
  serveDirectory(socket, never);
  for (let n = 1; n <= directory.maxMailboxQuestions; n++) socket.say(directory.askMailbox.encode(n, { address: "" }));
  assert.equal(socket.isGone, false);
  socket.say(directory.askMailbox.encode(99, { address: "" }));
  assert.equal(socket.isGone, true);
});

test("local gives the place of a forgotten question away, and looks for so many at once all the same", async () => {
  const noWorkers = {
    take: () => assert.fail(),
    retire: () => {},
    endRetired: () => {},
    endPrograms: () => {},
    close: () => {},
  };
  let routed = 0;
  const route = (): Promise<never> => {
    routed++;
    return new Promise(() => {}); // a file system that hangs
  };
  const socket = new FakeSocket();
  serveDirectory(socket, { route, workers: noWorkers, ...site });
  for (let n = 1; n <= 1_000; n++) {
    socket.say(directory.askMailbox.encode(n, { address: "a@b" }));
    if (n <= 900) socket.say(directory.forgetMailbox.encode(n, {}));
    await turn();
    if (n === 900) socket.takeSent();
  }
  assert.equal(socket.isGone, false);
  assert.equal(routed, 256);
  assert.equal(socket.takeSent().length, 100, "those who wait are told that nobody can tell");
});
