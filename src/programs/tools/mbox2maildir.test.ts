import assert from "node:assert/strict";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { nodeFiles } from "../../services/maildir/files.ts";
import { claim, type ImportFiles, importClaimed } from "./mbox2maildir.ts";

const date = (day: number): string => `Thu Jan 0${day} 00:00:00 1970`;
const mbox = `From a@b ${date(1)}
Subject: one
Status: RO
X-Status: AF

text
>From me
>>From you

From a@b ${date(2)}
Subject: two

the same

From a@b ${date(3)}
Subject: two

the same

From c ${date(4)}
Status: O
Subject: four


`;
const expected = [
  { text: "Subject: one\n\ntext\nFrom me\n>From you\n", info: "cur :2,FRS", day: 1 },
  { text: "Subject: two\n\nthe same\n", info: "new ", day: 2 },
  { text: "Subject: two\n\nthe same\n", info: "new ", day: 3 },
  { text: "Subject: four\n\n", info: "cur :2,", day: 4 },
];

interface Place {
  readonly mbox: string;
  readonly maildir: string;
}
function withPlace(check: (place: Place) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "postern-mbox-"));
  writeFileSync(join(folder, "mbox"), mbox);
  try {
    check({ mbox: join(folder, "mbox"), maildir: join(folder, "Maildir") });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const flushNothing = { setTime: () => {}, flush: () => {} };
const working: ImportFiles = { ...nodeFiles, ...flushNothing };

/** Calls that end in the middle of everything after so many. */
function killedAfter(calls: number): ImportFiles {
  let left = calls;
  const each =
    <Args extends readonly unknown[], Result>(call: (...args: Args) => Result) =>
    (...args: Args): Result => {
      if (left-- <= 0) throw new Error("killed");
      return call(...args);
    };
  const entries = Object.entries({ ...working, setTime: setTimeOf }).map(([name, call]) => [
    name,
    // A dead process closes what it had open; a test does, too.
    name === "close" ? call : each(call as (...args: unknown[]) => unknown),
  ]);
  return Object.fromEntries(entries) as ImportFiles;
}
const setTimeOf = (): void => {};

function run(files: ImportFiles, { mbox: path, maildir }: Place): void {
  const claimed = claim(files, path);
  if (claimed.kind !== "done") throw new Error(claimed.text);
  for (const _ of importClaimed(files, path, maildir)) {
  }
}

function found({ maildir }: Place): { text: string; info: string }[] {
  const all = ["cur", "new"].flatMap((folder) =>
    readdirSync(join(maildir, folder)).map((name) => ({
      text: readFileSync(join(maildir, folder, name), "latin1"),
      info: `${folder} ${name.slice(name.includes(":") ? name.indexOf(":") : name.length)}`,
      order: Number(name.split(".")[0]),
    })),
  );
  return all.sort((a, b) => a.order - b.order).map(({ text, info }) => ({ text, info }));
}
const wanted = expected.map(({ text, info }) => ({ text, info }));

test("importClaimed() keeps texts, flags and dates, and the mbox beside", () => {
  withPlace((place) => {
    const dated: ImportFiles = { ...working, setTime: (path, ms) => times.push(`${statSync(path).isFile()} ${ms}`) };
    const times: string[] = [];
    run(dated, place);
    assert.deepEqual(found(place), wanted);
    assert.deepEqual(
      times,
      expected.map(({ day }) => `true ${(day - 1) * 86_400_000}`),
    );
    assert.equal(readFileSync(`${place.mbox}.imported`, "utf8"), mbox);
    assert.deepEqual(readdirSync(join(place.maildir, "tmp")), []);
    assert.equal(claim(working, place.mbox).kind, "permanent");
  });
});

/** Kills one run after every number of calls there is, lets `meanwhile` happen, and goes on. */
function forEveryKill(check: (place: Place, calls: number, again: () => void) => void): number {
  let calls = 0;
  for (let ended = false; !ended; calls++) {
    withPlace((place) => {
      try {
        run(killedAfter(calls), place);
        ended = true;
      } catch (error) {
        assert.equal((error as Error).message === "killed" || /maildir/.test((error as Error).message), true);
      }
      const again = (): void => {
        if (existsSync(place.mbox) || existsSync(`${place.mbox}.importing`)) run(working, place);
      };
      check(place, calls, again);
    });
  }
  return calls;
}

test("importClaimed() killed after any call, and started again, loses and doubles nothing", () => {
  const calls = forEveryKill((place, at, again) => {
    again();
    assert.deepEqual(found(place), wanted, `killed after ${at} calls`);
    assert.equal(existsSync(`${place.mbox}.imported`), true);
  });
  assert.ok(calls > 60, `${calls} calls`);
});

test("importClaimed() killed twice, after any two calls, loses and doubles nothing", () => {
  forEveryKill((place, at, again) => {
    for (const second of [1, 5, 11, 23, 40, 71]) {
      try {
        if (existsSync(place.mbox) || existsSync(`${place.mbox}.importing`)) run(killedAfter(second), place);
      } catch {}
    }
    again();
    assert.deepEqual(found(place), wanted, `killed after ${at} calls`);
  });
});

test("importClaimed() brings no message back that a reader moved or deleted while it was down", () => {
  forEveryKill((place, at, again) => {
    const folder = join(place.maildir, "new");
    const there = existsSync(folder) ? readdirSync(folder).sort() : [];
    const [moved, deleted] = there;
    if (moved !== undefined) renameSync(join(folder, moved), join(place.maildir, "cur", `${moved}:2,S`));
    if (deleted !== undefined) rmSync(join(folder, deleted));
    again();
    const left = found(place).length;
    assert.equal(left, wanted.length - (deleted === undefined ? 0 : 1), `killed after ${at} calls`);
  });
});

test("importClaimed() takes new mail in a second round", () => {
  withPlace((place) => {
    run(working, place);
    writeFileSync(place.mbox, mbox);
    run(working, place);
    assert.equal(found(place).length, 8);
    assert.equal(existsSync(`${place.mbox}.imported.2`), true);
  });
});

test("importClaimed() refuses a file that is no mbox, and leaves it", () => {
  withPlace((place) => {
    writeFileSync(place.mbox, "hello\n");
    assert.throws(() => run(working, place), /no From_ line/);
    assert.equal(readFileSync(`${place.mbox}.importing`, "utf8"), "hello\n");
  });
});
