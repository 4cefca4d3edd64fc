import assert from "node:assert/strict";
import { test } from "node:test";
import { cannotTell, doesNotExist, exists } from "../../protocol/wire/directory.ts";
import type { AccountStore } from "../../services/accounts/account-store.ts";
import { cannotSay, mayNotSend, maySend, maySendAs } from "./senders.ts";

const users = ["joe@a.test", "jim@a.test", "joe-smith@a.test", "ann@a.test"];
const store = {
  user: (address: string) => (users.includes(address) ? { address } : undefined),
  targets: (address: string) => (address === "info@a.test" ? ["joe@a.test", "jim@a.test"] : []),
  sendAs: (account: string) => (account === "joe@a.test" ? ["boss@b.test", "@news.test"] : []),
} as unknown as AccountStore;

const hasMailbox = async (address: string): Promise<number> =>
  address === "joe-smith@local.test" ? exists : address === "joe-unknown@local.test" ? cannotTell : doesNotExist;

const rows: readonly (readonly [account: string, address: string, answer: number, why: string])[] = [
  ["joe@a.test", "joe@a.test", maySend, "its own"],
  ["joe@a.test", "Joe@A.test", maySend, "its own, in capitals"],
  ["joe@a.test", "joe-list@a.test", maySend, "an extension of its own"],
  ["joe@a.test", "joe-a-b@a.test", maySend, "of several words"],
  ["joe@a.test", "joe+shop@a.test", maySend, "with a tag"],
  ["joe@a.test", "joe-smith@a.test", mayNotSend, "another user, whose name begins like an extension"],
  ["joe@a.test", "joe-smith+x@a.test", mayNotSend, "and his tag"],
  ["joe-smith@a.test", "joe-smith-x@a.test", maySend, "his own extension"],
  ["ann@a.test", "info+x@a.test", mayNotSend, "an alias with a tag"],
  ["joe@a.test", "joel@a.test", mayNotSend, "another name"],
  ["joe@a.test", "-joe@a.test", mayNotSend, "no name before the extension"],
  ["joe@a.test", "joe@b.test", mayNotSend, "the name in another domain"],
  ["joe@a.test", "joe@a.test@b.test", mayNotSend, "an address in a local part"],
  ["joe@a.test", "joe@a.test.", mayNotSend, "another domain by its dot"],
  ["joe@a.test", "joe", mayNotSend, "no domain"],
  ["joe@a.test", "", mayNotSend, "nobody"],
  ["joe@a.test", "info@a.test", maySend, "an alias that leads to it"],
  ["jim@a.test", "info@a.test", maySend, "and to him"],
  ["ann@a.test", "info@a.test", mayNotSend, "not to her"],
  ["joe@a.test", "boss@b.test", maySend, "a right it was given"],
  ["joe@a.test", "anybody@news.test", maySend, "a whole domain"],
  ["joe@a.test", "x@sub.news.test", mayNotSend, "not what is below it"],
  ["jim@a.test", "boss@b.test", mayNotSend, "another's right"],
  ["joe", "joe@local.test", maySend, "an account of the system, in a local domain"],
  ["joe", "joe-x@local.test", maySend, "with an extension"],
  ["joe", "joe-smith@local.test", mayNotSend, "another user, whose name begins like an extension"],
  ["joe", "joe-smith-x@local.test", mayNotSend, "and his extension"],
  ["joe-smith", "joe-smith-x@local.test", maySend, "which is his"],
  ["joe", "joe-unknown-x@local.test", cannotSay, "whose that is nobody can tell now"],
  ["joe", "joe+x@local.test", mayNotSend, "with a tag, which is not its own there"],
  ["joe", "joe@a.test", mayNotSend, "where its mail does not come"],
  ["joe", "root@local.test", mayNotSend, "another user"],
  ["", "@local.test", mayNotSend, "nobody at all"],
];
for (const [account, address, answer, why] of rows) {
  test(`<${account}> sends as <${address}>: ${why}`, async () => {
    const isLocal = (domain: string): boolean => domain === "local.test";
    const options = { store: () => store, isLocal, delimiters: () => "-", hasMailbox };
    assert.equal(await maySendAs(account, address, options), answer);
  });
}

test("without the accounts only its own address is known to be right", async () => {
  const options = { store: () => undefined, isLocal: () => false, delimiters: () => "-", hasMailbox };
  assert.equal(await maySendAs("joe@a.test", "joe@a.test", options), maySend);
  assert.equal(await maySendAs("joe@a.test", "info@a.test", options), cannotSay);
});
