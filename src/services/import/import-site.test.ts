import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { unlessRoot } from "../../../test/support/missing.ts";
import { writeTree } from "../../../test/support/qmail-site.ts";
import type { Outcome } from "../../protocol/outcome.ts";
import { embeddedLayout, type Layout, systemLayout } from "../layout/layout.ts";
import { databaseFile } from "../storage/sqlite.ts";
import { giveQueue, importFiles, openQueue, prepareFolders } from "./import-site.ts";
import { planSite } from "./site-plan.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-import-"));
after(() => rmSync(folder, { recursive: true }));
const qmail = join(folder, "qmail");
writeTree(qmail, {
  rc: "qmail-start ./Mailbox\n",
  "control/me": "old.example\n",
  "control/locals": "old.example\n",
  "users/assign": "=joe:joe:1000:1000:/home/joe:::\n.\n",
  "alias/.qmail-root": "&joe\n",
});
chmodSync(join(qmail, "alias/.qmail-root"), 0o744);

function value<Value>(outcome: Outcome<Value>): Value {
  if (outcome.kind !== "done") throw new Error(outcome.text);
  return outcome.value;
}
const plan = (layout: Layout, force = false) => value(planSite(qmail, layout, { force }));
const fateOf = (layout: Layout, name: string, force = false) =>
  plan(layout, force).files.find((file) => file.name === name)?.fate;

test("importFiles() writes each file once, keeps what is here, and replaces it only when told to", async () => {
  const layout = embeddedLayout(join(folder, "embedded"));
  assert.equal(fateOf(layout, "me"), "taken");
  value(prepareFolders(layout));
  writeFileSync(join(layout.control, "me"), "ours.example\n");
  const before = plan(layout);
  value(await importFiles(before, layout));
  assert.equal(readFileSync(join(layout.control, "me"), "utf8"), "ours.example\n");
  assert.equal(readFileSync(join(layout.control, "defaultdelivery"), "utf8"), "./Mailbox\n");
  assert.ok(statSync(join(layout.users, "cdb")).isFile());
  assert.equal(statSync(join(layout.alias, ".qmail-root")).mode & 0o777, 0o744);
  assert.deepEqual(
    [fateOf(layout, "me"), fateOf(layout, "locals"), fateOf(layout, "assign")],
    ["kept", "same", "same"],
  );
  value(await importFiles(plan(layout, true), layout));
  assert.equal(readFileSync(join(layout.control, "me"), "utf8"), "old.example\n");
});

test("planSite() adds to users/assign where the user alias is now, when virtualdomains names it", () => {
  const layout = embeddedLayout(join(folder, "alias"));
  writeTree(qmail, { "control/virtualdomains": "v.example:alias-v\n" });
  const assign = plan(layout).files.find(({ name }) => name === "assign");
  rmSync(join(qmail, "control/virtualdomains"));
  assert.equal(assign?.fate, "translated");
  assert.match(assign?.text ?? "", new RegExp(`^=joe:.*\n\\+alias-:alias:[0-9]+:[0-9]+:${layout.alias}:-::\n\\.\n$`));
});

test("prepareFolders() leaves the folders of a whole system to its first start", () => {
  const failure = prepareFolders(systemLayout(join(folder, "bare")));
  assert.match(failure.kind === "permanent" ? failure.text : "", /start Postern once/);
});

test("as root, what is imported belongs to whom its folder belongs", { skip: unlessRoot() }, async () => {
  const layout = systemLayout(join(folder, "system"));
  for (const path of Object.values(layout)) mkdirSync(path, { recursive: true });
  chownSync(layout.queue, 901, 902);
  chownSync(layout.alias, 903, 904);
  const storage = value(await openQueue(layout, Date.now()));
  value(await importFiles(plan(layout), layout));
  const owner = (path: string) => [statSync(path).uid, statSync(path).gid];
  assert.deepEqual(owner(`${databaseFile(layout.queue)}-wal`), [901, 902], "also when it is broken off here");
  await storage.close();
  giveQueue(layout);
  assert.deepEqual(owner(databaseFile(layout.queue)), [901, 902]);
  assert.equal(statSync(databaseFile(layout.queue)).mode & 0o077, 0);
  assert.deepEqual(owner(join(layout.alias, ".qmail-root")), [903, 904]);
  assert.deepEqual(owner(join(layout.control, "me")), [0, 0]);
});

test("openQueue() refuses while another has the queue open", async () => {
  const layout = embeddedLayout(join(folder, "open"));
  value(prepareFolders(layout));
  const storage = value(await openQueue(layout, Date.now()));
  const second = await openQueue(layout, Date.now());
  assert.match(second.kind === "temporary" ? second.text : "", /is Postern running\? stop it first/);
  await storage.close();
});
