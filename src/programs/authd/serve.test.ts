import assert from "node:assert/strict";
import { Socket } from "node:net";
import { test } from "node:test";
import { cannotTell, doesNotExist, exists, type LoginEnd } from "../../protocol/wire/directory.ts";
import { createFrameReader, encodeFrame, type Frame } from "../../protocol/wire/frame.ts";
import { askLogin, findAccount, loginAnswer } from "../../protocol/wire/login.ts";
import type { DirectoryClient, LoginRequest } from "../../services/directory-client/directory-client.ts";
import { socketPair } from "../../services/kernel/sockets.ts";
import { serveCaller } from "./serve.ts";

const place = { answer: exists, uid: 7, gid: 8, home: "/mail/x/joe", folder: "/mail/x/joe/Maildir", quota: "1000S" };
const nothing = Buffer.alloc(0);

/** A `directory` that lets joe in with "right", and knows where joe's mail lies. */
function fakeDirectory(changed: Partial<DirectoryClient> = {}) {
  const asked: LoginRequest[] = [];
  const end = (letter: LoginEnd["letter"]): LoginEnd => ({
    ...{ letter, account: letter === "K" ? "joe@x" : "", text: "" },
    ...{ additional: nothing, ticket: nothing },
  });
  const directory: DirectoryClient = {
    isUp: true,
    attach: () => {},
    whenUp: () => () => {},
    askRecipient: () => () => {},
    askSender: () => () => {},
    askRelay: () => () => {},
    askPlace(account, answer) {
      answer(account === "joe@x" ? place : { ...place, answer: account === "later@x" ? cannotTell : doesNotExist });
      return () => {};
    },
    login(request, { onEnd }) {
      asked.push(request);
      const [, , password = ""] = (request.initial ?? nothing).toString("latin1").split("\0");
      onEnd(end(password === "right" ? "K" : password === "later" ? "Z" : "D"));
      return { respond() {}, cancel() {} };
    },
    ...changed,
  };
  return { directory, asked };
}

/** All frames that come back until the other side closes, or one has come. */
async function call(directory: DirectoryClient, ...frames: readonly Buffer[]): Promise<readonly Frame[]> {
  const pair = socketPair();
  if (pair.kind !== "done") throw new Error(pair.text);
  const [near, far] = pair.value.map((fd) => new Socket({ fd }));
  if (!near || !far) throw new Error("no sockets");
  serveCaller(far, directory);
  near.write(Buffer.concat(frames));
  const read = createFrameReader();
  const answers: Frame[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  near.on("data", (chunk: Buffer) => {
    const got = read(chunk);
    if (got !== "broken") answers.push(...got);
    resolve();
  });
  near.on("close", () => resolve());
  await promise;
  near.destroy();
  return answers;
}

const login = (account: string, password: string, address = "192.0.2.1"): Buffer =>
  askLogin.encode(0, { account, password: Buffer.from(password), address });

const answers = [
  { name: "the right password", question: login("Joe@x", "right"), letter: "K" },
  { name: "a wrong password", question: login("joe@x", "wrong"), letter: "D" },
  { name: "a time when nobody can tell", question: login("joe@x", "later"), letter: "Z" },
  { name: "an account without a password", question: findAccount.encode(0, { account: "joe@x" }), letter: "K" },
  { name: "an account that is not there", question: findAccount.encode(0, { account: "ann@x" }), letter: "D" },
  { name: "an account nobody can look up", question: findAccount.encode(0, { account: "later@x" }), letter: "Z" },
] as const;
for (const { name, question, letter } of answers) {
  test(`serveCaller() answers ${letter} to ${name}`, async () => {
    const { directory } = fakeDirectory();
    const [frame] = await call(directory, question);
    const { answer: _, ...where } = place;
    const nowhere = { account: "", uid: 0, gid: 0, home: "", folder: "", quota: "" };
    assert.deepEqual(frame && loginAnswer.decode(frame.payload), {
      letter,
      ...(letter === "K" ? { account: "joe@x", ...where } : nowhere),
    });
  });
}

test("serveCaller() asks as IMAP, by PLAIN, and says which address the client has", async () => {
  const { directory, asked } = fakeDirectory();
  await call(directory, login("joe@x", "right"));
  const initial = Buffer.from("\0joe@x\0right");
  const address = "192.0.2.1";
  assert.deepEqual(asked, [{ service: "imap", mechanism: "PLAIN", address, exporter: undefined, initial }]);
});

const broken = [
  { name: "a second question", frames: [login("joe@x", "right"), login("joe@x", "right")] },
  { name: "a frame of another kind", frames: [encodeFrame(64, 0, Buffer.from("x"))] },
  { name: "a NUL in a name", frames: [login("joe\0x", "right")] },
  { name: "a NUL in a password", frames: [login("joe@x", "ri\0ght")] },
  { name: "no password", frames: [login("joe@x", "")] },
  { name: "no name", frames: [login("", "right")] },
  { name: "a long password", frames: [login("joe@x", "x".repeat(513))] },
  { name: "an address that is none", frames: [login("joe@x", "right", "localhost")] },
];
for (const { name, frames } of broken) {
  test(`serveCaller() hangs up on ${name}`, async () => {
    const { directory } = fakeDirectory({ login: () => ({ respond() {}, cancel() {} }) });
    assert.deepEqual(await call(directory, ...frames), []);
  });
}

test("serveCaller() waits for a directory that is on its way", async () => {
  let come = (): void => {};
  const { directory } = fakeDirectory({
    isUp: false,
    whenUp(call) {
      come = call;
      setImmediate(() => come());
      return () => {};
    },
  });
  assert.equal((await call(directory, login("joe@x", "right"))).length, 1);
});
