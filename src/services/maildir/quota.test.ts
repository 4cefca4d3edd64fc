import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { nodeFiles } from "./files.ts";
import { makeMaildir } from "./folder.ts";
import { noteChange } from "./note-change.ts";
import { type Room, roomIn } from "./quota.ts";

let box = "";
beforeEach(() => {
  box = join(mkdtempSync(join(tmpdir(), "postern-quota-")), "Maildir");
  makeMaildir(nodeFiles, box);
});
afterEach(() => rmSync(join(box, ".."), { recursive: true }));

const sizePath = () => join(box, "maildirsize");
const write = (text: string) => writeFileSync(sizePath(), text);
const read = () => readFileSync(sizePath(), "latin1");
const put = (path: string, octets: number) => writeFileSync(join(box, path), "x".repeat(octets));
const age = (path: string, minutes: number) => {
  const s = Date.now() / 1_000 - minutes * 60;
  utimesSync(path, s, s);
};

const cases: readonly {
  readonly name: string;
  readonly prepare: () => void;
  readonly octets?: number;
  readonly given?: { octets: number; messages: number };
  readonly room: Room;
  /** What the file says then; undefined for none. */
  readonly file?: string;
}[] = [
  { name: "has no bound without a file", prepare: () => put("new/a", 5_000), room: "unlimited" },
  { name: "believes the file", prepare: () => write("100S\n40 1\n"), octets: 60, room: "room", file: "100S\n40 1\n" },
  {
    name: "knows a full mailbox by a fresh count",
    prepare: () => write("100S\n41 1\n"),
    octets: 60,
    room: "full",
    file: "100S\n41 1\n",
  },
  { name: "counts messages too", prepare: () => write("2C\n10 2\n"), octets: 1, room: "full", file: "2C\n10 2\n" },
  {
    name: "counts anew before it says full, where something has changed since",
    prepare: () => {
      write("100S\n90 1\n50 1\n");
      put("new/a", 30);
      put("cur/1.x,S=20:2,S", 99);
    },
    octets: 50,
    room: "room",
    file: "100S\n50 2\n",
  },
  {
    name: "counts anew before it says full, where the count is old",
    prepare: () => {
      write("100S\n90 1\n");
      age(sizePath(), 16);
    },
    octets: 50,
    room: "room",
    file: "100S\n0 0\n",
  },
  {
    name: "counts subfolders, and passes over what is no message",
    prepare: () => {
      makeMaildir(nodeFiles, join(box, ".Sent"));
      put(".Sent/cur/a:2,S", 60);
      put("new/.hidden", 500);
      put("tmp/b", 500);
      symlinkSync("/", join(box, ".root"));
      write("100S\nrubbish\n");
    },
    octets: 41,
    room: "full",
    file: "100S\n60 1\n",
  },
  {
    name: "counts anew a file of more than 5120 octets",
    prepare: () => write(`100S\n${"1 0\n".repeat(2_000)}`),
    octets: 100,
    room: "room",
    file: "100S\n0 0\n",
  },
  {
    name: "writes down the quota of the account",
    prepare: () => put("new/a", 30),
    given: { octets: 40, messages: 0 },
    octets: 10,
    room: "room",
    file: "40S\n30 1\n",
  },
  {
    name: "goes by the quota of the account, whatever the file says",
    prepare: () => {
      write("1000S\n0 0\n");
      put("new/a", 30);
    },
    given: { octets: 40, messages: 0 },
    octets: 11,
    room: "full",
    file: "40S\n30 1\n",
  },
  {
    name: "has no bound where the file says nothing",
    prepare: () => write("hello\n"),
    room: "unlimited",
    file: "hello\n",
  },
];
for (const { name, prepare, octets = 1, given, room, file } of cases) {
  test(`roomIn() ${name}`, () => {
    prepare();
    assert.equal(roomIn(nodeFiles, box, octets, Date.now(), given), room);
    assert.equal(existsSync(sizePath()) ? read() : undefined, file);
    assert.deepEqual(
      readdirSync(join(box, "tmp")).filter((each) => each.startsWith("maildirsize")),
      [],
    );
  });
}

const odd: readonly { readonly name: string; readonly put: () => void }[] = [
  { name: "a link", put: () => symlinkSync("/etc/passwd", sizePath()) },
  { name: "a FIFO", put: () => execFileSync("mkfifo", [sizePath()]) },
  { name: "a folder", put: () => mkdirSync(sizePath()) },
];
for (const { name, put: place } of odd) {
  test(`roomIn() and noteChange() neither follow nor wait for ${name} in the place of maildirsize`, () => {
    place();
    assert.equal(roomIn(nodeFiles, box, 1, Date.now()), "unlimited");
    noteChange(nodeFiles, box, { octets: 1, messages: 1 });
  });
}

test("noteChange() adds a line, and makes no file", () => {
  noteChange(nodeFiles, box, { octets: 5, messages: 1 });
  assert.equal(existsSync(sizePath()), false);
  write("100S\n0 0\n");
  noteChange(nodeFiles, box, { octets: 5, messages: 1 });
  noteChange(nodeFiles, box, { octets: -5, messages: -1 });
  assert.equal(read(), "100S\n0 0\n5 1\n-5 -1\n");
});

test("roomIn() leaves the file to who changed the mailbox while it counted", () => {
  write("100S\n90 1\n9 1\n");
  const files = {
    ...nodeFiles,
    *names(folder: string) {
      yield* nodeFiles.names(folder);
      if (!folder.endsWith("/cur")) return;
      put("cur/late", 40);
      appendFileSync(sizePath(), "40 1\n");
      age(join(box, "cur"), 1);
    },
  };
  assert.equal(roomIn(files, box, 50, Date.now()), "room");
  assert.equal(read(), "100S\n90 1\n9 1\n40 1\n");
});
