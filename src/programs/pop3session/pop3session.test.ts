import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { Usage } from "../../protocol/maildir/quota.ts";
import { inputWindowOctets, outputWindowOctets } from "../../protocol/wire/mailbox.ts";
import { nodeFiles } from "../../services/maildir/files.ts";
import { makeMaildir } from "../../services/maildir/folder.ts";
import { readMaildrop } from "./maildrop.ts";
import { createSession } from "./session.ts";

let box = "";
beforeEach(() => {
  box = join(mkdtempSync(join(tmpdir(), "postern-pop3-")), "Maildir");
  makeMaildir(nodeFiles, box);
});
afterEach(() => rmSync(join(box, ".."), { recursive: true }));

const put = (path: string, text = `Subject: ${path}\n\nbody\n`, ageS = 0): void => {
  writeFileSync(join(box, path), text);
  const s = 1_700_000_000 - ageS;
  utimesSync(join(box, path), s, s);
};
const names = (part: string): string[] => readdirSync(join(box, part)).sort();

/** A session on the Maildir as it is now. `said` has all the client reads; it reads at once unless told not to. */
class Client {
  said = "";
  ended: { retrieved: number; removed: Usage } | undefined;
  creditOctets = 0;
  unreadOctets = 0;
  readonly session;
  #idle: (() => void)[] = [];

  constructor(folder = box) {
    const drop = readMaildrop(folder);
    if (drop.kind !== "done") throw new Error(drop.text);
    this.session = createSession(drop.value, [], {
      onOutput: (text) => {
        this.said += text;
        this.unreadOctets += text.length;
      },
      onCredit: (octets) => {
        this.creditOctets += octets;
      },
      whenIdle: (work) => void this.#idle.push(work),
      onEnd: (retrieved, removed) => {
        this.ended = { retrieved, removed };
      },
    });
  }

  /** What is answered to these lines. */
  say(...lines: string[]): string {
    this.said = "";
    this.session.input(Buffer.from(lines.map((line) => `${line}\r\n`).join("")));
    this.read();
    for (const work of this.#idle.splice(0)) work();
    return this.said;
  }

  read(): void {
    while (this.unreadOctets > 0) {
      const octets = this.unreadOctets;
      this.unreadOctets = 0;
      assert.equal(this.session.credit(octets), undefined);
    }
  }
}

test("§17.187 messages of new and cur are listed by their time; what comes later is not seen", () => {
  put("new/c", "12345\n", 10);
  put("cur/b:2,S", "1234\n", 30);
  put("new/a", "123\n", 20);
  put("cur/.hidden", "x", 0);
  const client = new Client();
  put("new/late", "x", 0);
  assert.equal(client.say("LIST"), "+OK \r\n1 5\r\n2 4\r\n3 6\r\n.\r\n");
  assert.equal(client.say("UIDL"), "+OK \r\n1 b\r\n2 a\r\n3 c\r\n.\r\n");
});

test("time and size are taken from the name where it tells them: no file is looked at", () => {
  put("new/1700000002.b.mx,S=7", "x");
  put("cur/1700000001.a.mx,S=1000:2,S", "x");
  assert.equal(new Client().say("LIST", "STAT"), "+OK \r\n1 1000\r\n2 7\r\n.\r\n+OK 2 1007\r\n");
});

test("§17.188 a unique-id stays when the message moves to cur", () => {
  put("new/1700000002.b.mx,S=7");
  assert.equal(new Client().say("UIDL 1"), "+OK 1 1700000002.b.mx,S=7\r\n");
  assert.equal(new Client().say("RETR 1", "QUIT").slice(0, 3), "+OK");
  assert.deepEqual(names("cur"), ["1700000002.b.mx,S=7:2,S"]);
  assert.equal(new Client().say("UIDL 1"), "+OK 1 1700000002.b.mx,S=7\r\n");
});

test("§17.189 RETR sends the message, and no empty line that is not in it", () => {
  put("new/a", "A: b\n\n.c\n");
  assert.equal(new Client().say("RETR 1"), "+OK \r\nA: b\r\n\r\n..c\r\n.\r\n");
});

test("§17.190 TOP n 0 gives header and empty line, TOP without a number all", () => {
  put("new/a", "A: b\n\nc\nd\n");
  const client = new Client();
  assert.equal(client.say("TOP 1 0"), "+OK \r\nA: b\r\n\r\n.\r\n");
  assert.equal(client.say("TOP 1 1"), "+OK \r\nA: b\r\n\r\nc\r\n.\r\n");
  assert.equal(client.say("TOP 1"), "+OK \r\nA: b\r\n\r\nc\r\nd\r\n.\r\n");
});

test("§17.192 without QUIT nothing is deleted, and nothing moves", () => {
  put("new/a");
  const client = new Client();
  client.say("RETR 1", "DELE 1");
  client.session.close();
  assert.deepEqual(names("new"), ["a"]);
});

test("§17.193 QUIT deletes what was deleted and moves the rest of new to cur; what was sent whole is seen", () => {
  for (const name of ["new/a", "new/b", "new/c", "cur/d:2,F", "cur/e:2,", "new/f"]) put(name);
  const client = new Client();
  assert.match(client.say("RETR 2", "TOP 3 0", "RETR 4", "DELE 1", "DELE 6", "RETR 5"), /^\+OK/);
  assert.equal(client.say("QUIT"), "+OK \r\n");
  assert.deepEqual(names("new"), []);
  assert.deepEqual(names("cur"), ["b:2,S", "c:2,", "d:2,FS", "e:2,S"]);
  assert.deepEqual(client.ended, { retrieved: 3, removed: { octets: 42, messages: 2 } });
});

test("a message that another reader has moved is found again; one that is gone is not there", () => {
  put("new/a,S=5:2,", "1234\n");
  put("new/b", "12345\n");
  const client = new Client();
  renameSync(join(box, "new/a,S=5:2,"), join(box, "cur/a,S=5:2,FS"));
  rmSync(join(box, "new/b"));
  assert.equal(client.say("RETR 1"), "+OK \r\n1234\r\n.\r\n");
  assert.equal(client.say("RETR 2"), "-ERR unable to open that message\r\n");
  assert.equal(client.say("DELE 1", "DELE 2", "QUIT"), "+OK \r\n+OK \r\n+OK \r\n");
  assert.deepEqual(names("cur"), []);
  assert.deepEqual(client.ended?.removed.messages, 1);
});

test("who takes one message after the other is sent what was read ahead; what was not sent is not seen", () => {
  for (const name of ["a", "b", "c", "d"]) put(`new/${name}`, `${name}\n`);
  const before = readdirSync("/proc/self/fd").length;
  const client = new Client();
  client.say("RETR 1");
  rmSync(join(box, "new/b"));
  assert.equal(client.say("RETR 2"), "+OK \r\nb\r\n.\r\n");
  assert.equal(client.say("TOP 3 0", "RETR 4"), "+OK \r\nc\r\n.\r\n+OK \r\nd\r\n.\r\n");
  client.say("QUIT");
  assert.deepEqual(names("cur"), ["a:2,S", "c:2,", "d:2,S"]);
  assert.equal(client.ended?.retrieved, 3);
  const gone = new Client();
  gone.say("RETR 1");
  gone.session.close();
  assert.equal(readdirSync("/proc/self/fd").length, before, "a file is left open");
});

test("a message that was read ahead and deleted then is not sent", () => {
  for (const name of ["a", "b", "c"]) put(`new/${name}`, `${name}\n`);
  const client = new Client();
  assert.equal(client.say("RETR 1"), "+OK \r\na\r\n.\r\n");
  assert.equal(client.say("DELE 2", "RETR 2", "RETR 3"), "+OK \r\n-ERR already deleted\r\n+OK \r\nc\r\n.\r\n");
  assert.equal(client.say("RSET", "RETR 2"), "+OK \r\n+OK \r\nb\r\n.\r\n");
});

const odd: readonly { readonly name: string; readonly put: (path: string) => void }[] = [
  { name: "a link", put: (path) => symlinkSync("/etc/passwd", path) },
  { name: "a FIFO", put: (path) => execFileSync("mkfifo", [path]) },
  { name: "a folder", put: (path) => makeMaildir(nodeFiles, path) },
];
for (const { name, put: place } of odd) {
  test(`${name} in the place of a message is not opened, whatever its name says`, () => {
    place(join(box, "new/1700000002.b.mx,S=7"));
    place(join(box, "new/plain"));
    const client = new Client();
    assert.equal(client.say("STAT"), "+OK 1 7\r\n");
    assert.equal(client.say("RETR 1", "TOP 1 0"), "-ERR unable to open that message\r\n".repeat(2));
  });
}

test("a message with two names is a message", () => {
  put("new/a", "x\n");
  linkSync(join(box, "new/a"), join(box, "new/b"));
  assert.equal(new Client().say("RETR 2"), "+OK \r\nx\r\n.\r\n");
});

test("a client that does not read is sent no more than the window, and gets it all when it reads", () => {
  const text = `A: b\n\n${"0123456789\n".repeat(100_000)}`;
  put("new/a", text);
  const client = new Client();
  client.session.input(Buffer.from("RETR 1\r\nNOOP\r\n"));
  assert.ok(client.unreadOctets >= outputWindowOctets && client.unreadOctets <= outputWindowOctets + 65_536);
  client.read();
  assert.equal(client.said, `+OK \r\n${text.replaceAll("\n", "\r\n")}.\r\n+OK \r\n`);
});

test("a client that sends more than it may is ended, and so is one that has read more than it was sent", () => {
  assert.equal(new Client().session.input(Buffer.alloc(inputWindowOctets + 1)), "broken");
  assert.equal(new Client().session.credit(1), "broken");
  const client = new Client();
  for (let n = 0; n < 100; n++) assert.equal(client.say("NOOP ".padEnd(250)), "+OK \r\n");
  assert.ok(100 * 252 - client.creditOctets < inputWindowOctets / 2, "half of the window is always free again");
});

test("an endless line is passed over", () => {
  const client = new Client();
  for (let n = 0; n < 100; n++) client.session.input(Buffer.alloc(1_000, "x"));
  assert.equal(client.say("", "STAT"), "-ERR line too long\r\n+OK 0 0\r\n");
});

test("a mailbox without a Maildir is empty", () => {
  for (const folder of ["", join(box, "nowhere")]) {
    assert.equal(new Client(folder).say("STAT", "LIST", "QUIT"), "+OK 0 0\r\n+OK \r\n.\r\n+OK \r\n");
  }
});

test("names may be any octets", () => {
  const name = Buffer.concat([Buffer.from(`${box}/new/`), Buffer.from("\xff\xfe", "latin1")]);
  writeFileSync(name, "x\n");
  assert.equal(new Client().say("RETR 1", "DELE 1", "QUIT"), "+OK \r\nx\r\n.\r\n+OK \r\n+OK \r\n");
  assert.equal(existsSync(name), false);
});

test("an empty message, and one without a last line end", () => {
  put("new/a", "");
  put("new/b", "A: b\n\nc");
  const client = new Client();
  assert.equal(client.say("RETR 1", "RETR 2"), "+OK \r\n.\r\n+OK \r\nA: b\r\n\r\nc\r\n.\r\n");
  assert.equal(readFileSync(join(box, "new/b"), "latin1"), "A: b\n\nc");
});
