import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { MailboxProcess, SessionEvents } from "../../src/programs/local/mailboxes.ts";
import { serveSessions as serveAtLocal } from "../../src/programs/local/serve-pop3d.ts";
import { createTickets } from "../../src/programs/local/tickets.ts";
import { createMailboxLink } from "../../src/programs/pop3d/mailbox-link.ts";
import { serveSessions } from "../../src/programs/pop3session/serve.ts";
import { done } from "../../src/protocol/outcome.ts";
import { encodeFrame, type Frame } from "../../src/protocol/wire/frame.ts";
import * as mailbox from "../../src/protocol/wire/mailbox.ts";
import { Source } from "../fuzz/source.ts";
import { unlessLong } from "../support/missing.ts";
import { anyNumber, anyText, FakeSocket, hostileFrame, type Kind, turn } from "./hostile-frames.ts";

const seeds = unlessLong() ? 40 : 400;
const rounds = 25;
const streams = [1, 2, 3];
const commands = ["STAT\r\n", "RETR 1\r\n", "LIST\r\n", "DELE 1\r\n", "QUIT\r\n", "x".repeat(400), "\n"];

/** What a pop3d that was taken over may send, to `local`, or through it to a session. */
const fromPop3d: readonly Kind[] = [
  (source, stream) =>
    mailbox.openSession.encode(stream, { ticket: source.octets(40), logins: source.list(12, () => anyText(source)) }),
  (_, stream) => mailbox.openSession.encode(stream, { ticket: Buffer.alloc(0), logins: [] }),
  (source, stream) => encodeFrame(mailbox.inputType, stream, Buffer.from(source.text(commands), "latin1")),
  (source, stream) => encodeFrame(mailbox.inputType, stream, source.octets(6_000)),
  (source, stream) => mailbox.outputCredit.encode(stream, { octets: anyNumber(source) }),
  (_, stream) => mailbox.closeSession.encode(stream, {}),
];
/** What a session that was taken over may send, or a `local`. */
const fromSession: readonly Kind[] = [
  (_, stream) => mailbox.opened.encode(stream, {}),
  (source, stream) => mailbox.refusedSession.encode(stream, { text: anyText(source) }),
  (source, stream) => encodeFrame(mailbox.outputType, stream, source.octets(60_000)),
  (source, stream) => mailbox.inputCredit.encode(stream, { octets: anyNumber(source) }),
  (source, stream) => mailbox.sessionEnded.encode(stream, { retrieved: anyNumber(source), deleted: anyNumber(source) }),
];

let maildir = "";
before(() => {
  maildir = join(mkdtempSync(join(tmpdir(), "postern-frames-")), "Maildir");
  for (const part of ["tmp", "new", "cur"]) mkdirSync(join(maildir, part), { recursive: true });
});
after(() => rmSync(join(maildir, ".."), { recursive: true }));

/** The process of a mailbox as `local` knows it: what it is sent, and what it says. */
class FakeProcess implements MailboxProcess {
  readonly sent: Buffer[] = [];
  readonly sessions = new Map<number, SessionEvents>();
  isGone = false;
  #last = 0;
  open(events: SessionEvents): number {
    this.sessions.set(++this.#last, events);
    return this.#last;
  }
  send(frame: Buffer): void {
    this.sent.push(frame);
  }
  forget(stream: number): void {
    this.sessions.delete(stream);
  }
  /** As the channel would: a broken word ends it. */
  say(frame: Frame): void {
    if (this.isGone || this.sessions.get(frame.stream)?.onFrame(frame) !== "broken") return;
    this.isGone = true;
    const lost = [...this.sessions.values()];
    this.sessions.clear();
    for (const events of lost) events.onLost();
  }
}

test(`a pop3d without a ticket opens nothing at local, whatever it sends, ${seeds} times`, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const source = new Source(seed);
    const process = new FakeProcess();
    const tickets = createTickets(() => 0);
    const desk = {
      tickets,
      find: async () => done({ uid: 1, gid: 1, folder: "/nowhere", inode: 1 }),
      mailboxes: { take: () => done(process), close: () => {} },
      isOpen: () => true,
    };
    let hostile = new FakeSocket();
    serveAtLocal(hostile, desk);
    for (let round = 0; round < rounds; round++) {
      if (hostile.isGone) {
        hostile = new FakeSocket();
        serveAtLocal(hostile, desk);
      }
      hostile.say(...source.list(15, () => hostileFrame(source, fromPop3d, streams)));
      await turn();
    }
    assert.equal(process.sent.length, 0);
    const honest = new FakeSocket();
    serveAtLocal(honest, desk);
    const ticket = Buffer.alloc(32, seed);
    tickets.grant(ticket, "joe@here.example");
    honest.say(mailbox.openSession.encode(1, { ticket, logins: [] }));
    await turn();
    assert.equal(process.sent.length, 1, "an honest one, with a ticket, is served");
    honest.say(mailbox.openSession.encode(2, { ticket, logins: [] }));
    await turn();
    assert.equal(process.sent.length, 1, "but once");
  }
});

test(`a session that says what it likes ends its own, and nobody else's, ${seeds} times`, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const source = new Source(seed);
    const [hostile, good] = [new FakeProcess(), new FakeProcess()];
    const tickets = createTickets(() => 0);
    const pop3d = new FakeSocket();
    serveAtLocal(pop3d, {
      tickets,
      find: async (address) => done({ uid: 1, gid: 1, folder: address, inode: 1 }),
      mailboxes: { take: ({ folder }) => done(folder === "good" ? good : hostile), close: () => {} },
      isOpen: () => true,
    });
    for (const [stream, address] of ["good", "hostile", "hostile"].entries()) {
      const ticket = Buffer.alloc(32, stream + 1);
      tickets.grant(ticket, address);
      pop3d.say(mailbox.openSession.encode(stream, { ticket, logins: [] }));
    }
    await turn();
    const speak = createSpeaker(good);
    speak(mailbox.opened.encode(1, {}));
    for (let round = 0; round < rounds; round++) {
      for (const frame of source.list(15, () => hostileFrame(source, fromSession, [1, 2])))
        createSpeaker(hostile)(frame);
    }
    pop3d.takeSent();
    await turn();
    speak(encodeFrame(mailbox.outputType, 1, Buffer.from("+OK \r\n")));
    await turn();
    assert.ok(pop3d.takeSent().some(({ type, stream }) => type === mailbox.outputType && stream === 0));
    assert.equal(pop3d.isGone, false);
  }
});

const createSpeaker =
  (process: FakeProcess) =>
  (frame: Buffer): void =>
    process.say({ type: frame.readUInt8(4), stream: frame.readUInt32BE(5), payload: frame.subarray(9) });

test(`pop3d lives through a local that sends what it likes, ${seeds} times`, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const source = new Source(seed);
    const link = createMailboxLink();
    for (let round = 0; round < rounds; round++) {
      const local = new FakeSocket();
      link.attach(local);
      let ends = 0;
      const ended = (): void => void ends++;
      const open = () =>
        link.open(Buffer.alloc(32), [], {
          ...{ onOpened() {}, onOutput() {}, onRoom() {}, onEnd: ended },
          onLost(why) {
            assert.match(why, /^[^\r\n]*$/);
            ended();
          },
        });
      const opened = [open(), open()];
      await turn();
      const numbers = local.takeSent().map(({ stream }) => stream);
      local.say(...source.list(15, () => hostileFrame(source, fromSession, numbers)));
      await turn();
      for (const { room } of opened) assert.ok(room >= 0 && room <= mailbox.inputWindowOctets);
      link.attach(new FakeSocket());
      assert.equal(ends, opened.length, "each ends once");
    }
  }
});

test(`a session lives through a local that sends what it likes, ${seeds} times`, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const source = new Source(seed);
    for (let round = 0; round < rounds; round++) {
      writeFileSync(join(maildir, "new/1700000001.a.mx,S=5"), "A: b\n");
      const local = new FakeSocket();
      let isClosed = false;
      serveSessions(local, maildir, () => {
        isClosed = true;
      });
      local.say(...source.list(15, () => hostileFrame(source, fromPop3d, streams)));
      await turn();
      const unread = local.takeSent().filter(({ type }) => type === mailbox.outputType);
      assert.ok(unread.length <= 15 * 400);
      local.emit("close");
      assert.equal(isClosed, true);
    }
  }
});
