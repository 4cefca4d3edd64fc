import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { readSettings } from "../../src/protocol/control/parse.ts";
import { makeSelfSigned } from "../../src/services/tls/self-signed.ts";
import { title } from "../support/title.ts";
import { playDialogue } from "./player.ts";
import { openPop3Stage, type Pop3StageOptions } from "./pop3-stage.ts";
import { Talk } from "./talk.ts";

const certificates = [{ name: "default", ...makeSelfSigned(["localhost"], Date.now()) }];
/** Two messages: the second has lines that begin with dots, and no end of its last line. */
const messages = {
  "new/1700000001.a.mx,S=26": "Subject: one\n\nfirst body\n\n",
  "cur/1700000002.b.mx:2,": "Subject: two\nX: y\n\n.\n..dots\nlast",
};
const folders: readonly { folder: string; options: Pop3StageOptions }[] = [
  { folder: "pop3", options: { messages } },
  { folder: "pop3-apop", options: { messages, control: { apop: "1" } } },
  { folder: "pop3-tls", options: { messages, certificates, control: { clearlogin: "0" } } },
];

/** The numbers of the statements that a dialogue proves: its first line names them. */
const statements = (file: string): string =>
  /^# ((?:§17\.\d+ )*)/.exec(`${readFileSync(file, "utf8").split("\n")[0]} `)?.[1] ?? "";

for (const { folder, options } of folders) {
  const path = join(import.meta.dirname, folder);
  for (const file of readdirSync(path).sort()) {
    test(title(`pop3d plays ${folder}/${file}`, statements(join(path, file))), async () => {
      await using stage = await openPop3Stage(options);
      await playDialogue(join(path, file), { host: "127.0.0.1", port: stage.port, withoutStatus: true });
    });
  }
}

test("pop3s begins with TLS, and tells directory what it is bound to", async () => {
  await using stage = await openPop3Stage({ messages, certificates, service: "pop3s", control: { clearlogin: "0" } });
  const talk = await Talk.open(stage.port);
  await talk.secure();
  assert.equal(await talk.line(), "+OK localhost ready");
  talk.send("USER joe@localhost\r\nPASS secret\r\nSTAT\r\n");
  assert.deepEqual([await talk.line(), await talk.line(), await talk.line()], ["+OK ", "+OK ", "+OK 2 58"]);
  talk.close();
  assert.equal(stage.directory.begun[0]?.bindingType, "tls-exporter");
  assert.equal(stage.directory.begun[0]?.service, "pop3");
});

test("§17.192 a client that goes without QUIT has deleted nothing; with QUIT it has, and the log tells", async () => {
  await using stage = await openPop3Stage({ messages });
  const names = () => [...readdirSync(join(stage.maildir, "new")), ...readdirSync(join(stage.maildir, "cur"))].sort();
  const before = names();
  for (const last of ["", "QUIT\r\n"]) {
    const talk = await Talk.open(stage.port);
    talk.send(`USER joe@localhost\r\nPASS secret\r\nDELE 1\r\nRETR 2\r\n${last}`);
    for (let line: string | undefined = ""; line !== undefined; ) {
      line = await talk.line();
      if (line === "." && last === "") break;
    }
    talk.close();
    if (last === "") assert.deepEqual(names(), before);
  }
  assert.deepEqual(names(), ["1700000002.b.mx:2,S"]);
  const said = (event: string) => stage.events.filter((each) => each.event === event);
  while (said("disconnection").length < 2) await turn();
  assert.partialDeepStrictEqual(said("mailbox"), [{ account: "joe@localhost" }, { account: "joe@localhost" }]);
  assert.partialDeepStrictEqual(said("disconnection").at(-1), { why: "quit", messages: 1 });
});

test("a client that is silent for too long is told so before the login, and cut off after it", async () => {
  for (const [words, last] of [
    ["", "-ERR timeout"],
    ["USER joe@localhost\r\nPASS secret\r\nDELE 1\r\n", undefined],
  ] as const) {
    await using stage = await openPop3Stage({ messages });
    const talk = await Talk.open(stage.port);
    talk.send(words);
    for (let lines = 1 + words.split("\r\n").length - 1; lines > 0; lines--) await talk.line();
    for (let seconds = 0; seconds < 1_201; seconds++) stage.service.tick();
    assert.equal(await talk.line(), last);
    assert.equal(readdirSync(join(stage.maildir, "new")).length, 1);
    talk.close();
  }
});

test("when pop3d stops, a client before its login is told so, and one within has deleted nothing", async () => {
  await using stage = await openPop3Stage({ messages });
  const early = await Talk.open(stage.port);
  const late = await Talk.open(stage.port);
  late.send("USER joe@localhost\r\nPASS secret\r\nDELE 1\r\n");
  assert.equal(await early.line(), "+OK localhost ready");
  for (const expected of ["+OK localhost ready", "+OK ", "+OK ", "+OK "]) assert.equal(await late.line(), expected);
  const stopped = stage.service.stop();
  assert.equal(await early.line(), "-ERR [SYS/TEMP] the server is being stopped");
  assert.equal(await late.line(), undefined);
  for (const talk of [early, late]) talk.close();
  await stopped;
  assert.equal(readdirSync(join(stage.maildir, "new")).length, 1);
});

test("beyond maxconnectionsperaddress a client is told to come later, and those who are in go on", async () => {
  await using stage = await openPop3Stage({ messages, control: { maxconnectionsperaddress: "2" } });
  const talks = [await Talk.open(stage.port), await Talk.open(stage.port), await Talk.open(stage.port)];
  const [first, , third] = talks;
  assert.equal(await third?.line(), "-ERR [SYS/TEMP] too many connections, try again later");
  assert.equal(await third?.line(), undefined);
  first?.send("NOOP\r\n");
  assert.deepEqual([await first?.line(), await first?.line()], ["+OK localhost ready", "+OK "]);
  for (const talk of talks) talk.close();
});

test("STLS without a certificate any more is refused, and the session goes on in the clear", async () => {
  await using stage = await openPop3Stage({ messages, certificates });
  const talk = await Talk.open(stage.port);
  await talk.line();
  const settings = readSettings(new Map([["me", "localhost"]]));
  assert.ok(settings.kind === "done" && stage.service.reload(settings.value, []).kind === "done");
  talk.send("STLS\r\nNOOP\r\n");
  const replies = [await talk.line(), await talk.line()];
  talk.close();
  assert.deepEqual(replies, ["-ERR STLS is not offered here, or not any more", "+OK "]);
});

test("a client that does not read is not read for", async () => {
  const text = `Subject: long\n\n${"0123456789\n".repeat(100_000)}`;
  await using stage = await openPop3Stage({ messages: { "new/1700000001.a.mx": text } });
  const talk = await Talk.open(stage.port);
  talk.send("USER joe@localhost\r\nPASS secret\r\nRETR 1\r\nSTAT\r\n");
  const lines: (string | undefined)[] = [];
  do lines.push(await talk.line());
  while (lines.at(-1) !== ".");
  assert.equal(lines.length, 4 + text.split("\n").length);
  assert.equal(await talk.line(), `+OK 1 ${text.length}`);
  talk.close();
});

test("without directory a login is put off, and without local too", async () => {
  await using stage = await openPop3Stage({ messages });
  stage.directory.ticketFor = () => Buffer.alloc(16);
  for (const expected of [/^-ERR \[SYS\/TEMP\] the login is too old/, /^-ERR \[SYS\/TEMP\] nobody can look up/]) {
    const talk = await Talk.open(stage.port);
    talk.send("USER joe@localhost\r\nPASS secret\r\n");
    await talk.line();
    await talk.line();
    const answer = talk.line();
    let isAnswered = false;
    void answer.finally(() => {
      isAnswered = true;
    });
    for (let seconds = 0; !isAnswered; seconds++) {
      if (seconds > 0) stage.service.tick();
      await new Promise(setImmediate);
    }
    assert.match((await answer) ?? "", expected);
    assert.equal(await talk.line(), undefined);
    talk.close();
    await stage.directory.hangUp();
  }
});

test("a login waits for a directory that is on its way", async () => {
  await using stage = await openPop3Stage({ messages });
  await stage.directory.hangUp();
  const talk = await Talk.open(stage.port);
  talk.send("USER joe@localhost\r\nPASS secret\r\n");
  await talk.line();
  await talk.line();
  const answer = talk.line();
  await stage.directory.connect(stage.service.attachDirectory);
  assert.match((await answer) ?? "", /^\+OK/);
  talk.close();
});
