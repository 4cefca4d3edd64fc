import assert from "node:assert/strict";
import { test } from "node:test";
import { cannotTell, doesNotExist, exists } from "../../protocol/wire/directory.ts";
import { createRecipients } from "./recipients.ts";

function open(answers: Record<string, number> = {}) {
  const asked: string[] = [];
  let nowMs = 0;
  const recipients = createRecipients({
    route: (address) =>
      address.endsWith("@far.test")
        ? { channel: "remote", address, destination: "far.test" }
        : { channel: "local", address: `p-${address}`, destination: address },
    ask: async (address) => {
      asked.push(address);
      return answers[address] ?? doesNotExist;
    },
    nowMs: () => nowMs,
  });
  return { recipients, asked, later: (ms: number) => (nowMs += ms) };
}

test("askRecipient asks about the address as it would be delivered, and remembers the answer for a while", async () => {
  const { recipients, asked, later } = open({ "p-a@here.test": exists });
  const seen = await Promise.all(["a@here.test", "A@here.test", "b@here.test"].map(recipients.ask));
  assert.deepEqual(seen, [exists, exists, doesNotExist]);
  assert.deepEqual(asked, ["p-a@here.test", "p-b@here.test"], "one question at a time about one address");
  later(4_999);
  await Promise.all(["a@here.test", "b@here.test"].map(recipients.ask));
  assert.equal(asked.length, 2);
  later(1);
  await Promise.all(["a@here.test", "b@here.test"].map(recipients.ask));
  assert.deepEqual(asked.slice(2), ["p-b@here.test"], "what does not exist is soon asked again");
  later(60_000);
  await recipients.ask("a@here.test");
  assert.equal(asked.length, 4);
});

test("what cannot be told is not remembered, and nothing is after a reload", async () => {
  const { recipients, asked } = open({ "p-a@here.test": cannotTell, "p-b@here.test": exists });
  for (const address of ["a@here.test", "a@here.test", "b@here.test"]) await recipients.ask(address);
  assert.equal(asked.length, 3);
  recipients.forget();
  const late = recipients.ask("b@here.test");
  recipients.forget();
  await late;
  await recipients.ask("b@here.test");
  assert.equal(asked.length, 5, "an answer to a question from before does not count after");
});

test("what is delivered elsewhere, and what is no address, cannot be told", async () => {
  const { recipients, asked } = open();
  for (const address of ["a@far.test", "a\n@here.test", `${"a".repeat(1_000)}@here.test`]) {
    assert.equal(await recipients.ask(address), cannotTell);
  }
  assert.deepEqual(asked, []);
});

test("a flood of unknown names is not remembered whole", async () => {
  const { recipients, asked } = open();
  for (let n = 0; n <= 10_000; n++) await recipients.ask(`${n}@here.test`);
  await recipients.ask("10000@here.test");
  assert.equal(asked.length, 10_001);
  await recipients.ask("0@here.test");
  assert.equal(asked.length, 10_002);
});
