import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeDirectory } from "../../../test/dialogues/fake-directory.ts";
import type { LoginEnd } from "../../protocol/wire/directory.ts";
import * as wire from "../../protocol/wire/directory.ts";
import { encodeFrame } from "../../protocol/wire/frame.ts";
import { createDirectoryClient, type DirectoryClient, type LoginRequest } from "./directory-client.ts";

const joined = async (): Promise<{ client: DirectoryClient; directory: FakeDirectory }> => {
  const client = createDirectoryClient();
  const directory = new FakeDirectory();
  await directory.connect(client.attach);
  return { client, directory };
};
const recipient = (client: DirectoryClient, address: string): Promise<number> => {
  const { promise, resolve } = Promise.withResolvers<number>();
  client.askRecipient(address, resolve);
  return promise;
};
const plain: LoginRequest = {
  service: "smtp",
  mechanism: "PLAIN",
  address: "192.0.2.1",
  initial: undefined,
  exporter: undefined,
};

/** Logs in with these responses, one for each challenge. */
function login(client: DirectoryClient, request: LoginRequest, responses: readonly string[]): Promise<LoginEnd> {
  const { promise, resolve } = Promise.withResolvers<LoginEnd>();
  const left = [...responses];
  const started = client.login(request, {
    onChallenge: () => setImmediate(() => started.respond(Buffer.from(left.shift() ?? "", "latin1"))),
    onEnd: resolve,
  });
  return promise;
}

test("createDirectoryClient() asks about recipients, each with its own answer", async () => {
  const { client, directory } = await joined();
  directory.recipient = (address) => Number(address.at(0));
  const answers = ["0@a", "1@a", "2@a", "3@a", "4@a"].map((address) => recipient(client, address));
  assert.deepEqual(await Promise.all(answers), [0, 1, 2, 3, 4]);
  await directory.hangUp();
});

test("createDirectoryClient() asks who may send as whom", async () => {
  const { client, directory } = await joined();
  const { promise, resolve } = Promise.withResolvers<number>();
  client.askSender("joe@localhost", "jim@localhost", resolve);
  assert.equal(await promise, 2);
  await directory.hangUp();
});

test("createDirectoryClient() says that nobody can tell while there is no directory, and when it goes", async () => {
  assert.equal(await recipient(createDirectoryClient(), "a@b"), wire.cannotTell);
  assert.equal((await login(createDirectoryClient(), plain, [])).letter, "Z");
  const { client, directory } = await joined();
  directory.recipient = () => undefined;
  const answer = recipient(client, "a@b");
  const waits = Promise.withResolvers<LoginEnd>();
  client.login(plain, { onChallenge() {}, onEnd: waits.resolve });
  await directory.hangUp();
  assert.equal(await answer, wire.cannotTell);
  assert.equal((await waits.promise).letter, "Z");
  assert.equal(client.isUp, false);
});

test("createDirectoryClient() calls once when the directory is there again, and not who forgot", async () => {
  const client = createDirectoryClient();
  const called: string[] = [];
  client.whenUp(() => called.push("waits"));
  client.whenUp(() => called.push("forgets"))();
  const directory = new FakeDirectory();
  await directory.connect(client.attach);
  await directory.connect(client.attach);
  assert.deepEqual(called, ["waits"]);
  await directory.hangUp();
});

test("createDirectoryClient() drops a question: its answer goes nowhere, and the next is unharmed", async () => {
  const { client, directory } = await joined();
  client.askRecipient("a@b", () => assert.fail("it was dropped"))();
  const dropped = client.login(plain, {
    onChallenge: () => assert.fail("dropped"),
    onEnd: () => assert.fail("dropped"),
  });
  dropped.cancel();
  dropped.respond(Buffer.from("late"));
  assert.equal(await recipient(client, "c@d"), wire.exists);
  assert.equal(directory.cancelled, 1);
  await directory.hangUp();
});

const right = "\0joe@localhost\0secret";
for (const [name, request, responses, letter] of [
  ["PLAIN with an initial response", { ...plain, initial: Buffer.from(right) }, [], "K"],
  ["PLAIN without", plain, [right], "K"],
  ["PLAIN with a wrong password", plain, ["\0joe@localhost\0wrong"], "D"],
  ["LOGIN", { ...plain, mechanism: "LOGIN" }, ["joe@localhost", "secret"], "K"],
  ["a directory that cannot tell", plain, ["\0later\0x"], "Z"],
] as const) {
  test(`createDirectoryClient() logs in: ${name}`, async () => {
    const { client, directory } = await joined();
    const end = await login(client, request, responses);
    assert.equal(end.letter, letter);
    assert.equal(end.account, letter === "K" ? "joe@localhost" : "");
    await directory.hangUp();
  });
}

test("createDirectoryClient() hands on where the client is and what its channel is bound to", async () => {
  const { client, directory } = await joined();
  await login(client, { ...plain, exporter: Buffer.alloc(32, 7) }, [right]);
  assert.partialDeepStrictEqual(directory.begun, [
    { service: "smtp", mechanism: "PLAIN", address: "192.0.2.1", hasInitial: 0, bindingType: "tls-exporter" },
  ]);
  assert.equal(directory.begun[0]?.binding.length, 32);
  await directory.hangUp();
});

const empty = Buffer.alloc(0);
const end = { letter: "K", account: "a", text: "", additional: empty, ticket: empty };
const challenge = (stream: number) => wire.saslChallenge.encode(stream, { octets: empty });
for (const [name, nonsense] of [
  ["an answer that is none of the five", [wire.recipientAnswer.encode(1, { answer: 5 })]],
  ["an answer to what was not asked", [wire.senderAnswer.encode(1, { answer: 1 })]],
  ["a frame of unknown type", [encodeFrame(255, 1, empty)]],
  ["half an answer", [encodeFrame(wire.recipientAnswer.type, 1, empty)]],
  ["two challenges at once", [challenge(2), challenge(2)]],
  ["a challenge that is too long", [wire.saslChallenge.encode(2, { octets: Buffer.alloc(wire.maxSaslOctets + 1) })]],
  ["a letter that is none", [wire.saslEnd.encode(2, { ...end, letter: "X" })]],
  ["a login as nobody", [wire.saslEnd.encode(2, { ...end, account: "" })]],
] as const) {
  test(`createDirectoryClient() breaks with a directory that sends ${name}`, async () => {
    const { client, directory } = await joined();
    directory.recipient = () => undefined;
    const answer = recipient(client, "a@b");
    const ended = Promise.withResolvers<LoginEnd>();
    client.login(
      { ...plain, mechanism: "LOGIN", initial: Buffer.from("x") },
      { onChallenge() {}, onEnd: ended.resolve },
    );
    for (const frame of nonsense) directory.send(frame);
    assert.equal(await answer, wire.cannotTell);
    assert.equal((await ended.promise).letter, "Z");
  });
}
