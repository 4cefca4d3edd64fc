import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Ran, readMaildir, runPostern, startServer, temporaryFolder, until } from "../support/server.ts";

let root: string;
before(() => {
  root = temporaryFolder();
  mkdirSync(join(root, "control"));
  writeFileSync(join(root, "control/me"), "heaven.example\n");
  writeFileSync(join(root, "lists"), "List@lists.example\n");
});
after(() => rmSync(root, { recursive: true }));

/** There is no server: what needs one would fail. */
const inject = (args: readonly string[], message: string, env: Record<string, string> = {}): Promise<Ran> =>
  runPostern(["inject", "--root", root, ...args], message, { PATH: process.env.PATH, USER: "joe", ...env });

test("§17.212 inject -n prints Return-Path, then the message, and queues nothing", async () => {
  const { code, stdout, stderr } = await inject(["-n"], "From: j@x.y\nDate: d\nMessage-ID: i\nTo: a\nBcc: b\n\nbody\n");
  assert.deepEqual([code, stderr], [0, ""]);
  assert.equal(
    stdout,
    "Return-Path: <joe@heaven.example>\nFrom: j@x.y\nDate: d\nMessage-ID: i\nTo: a@heaven.example\n\nbody\n",
  );
});

const environments = [
  { env: { QMAILINJECT: "r" }, printed: /^Return-Path: <"joe-@heaven\.example-"@\[\]>\n/ },
  { env: { QMAILINJECT: "m" }, printed: /^Return-Path: <joe-\d+\.\d+@heaven\.example>\n/ },
  {
    env: { QMAILSUSER: "list", QMAILSHOST: "l.example" },
    printed: /^Return-Path: <list@l\.example>\n[\s\S]*<?joe@heaven/,
  },
  { env: { QMAILUSER: "mary", QMAILNAME: "Mary" }, printed: /\nFrom: Mary <mary@heaven\.example>\n/ },
  { env: { QMAILINJECT: "c", NAME: "Joe" }, printed: /\nFrom: joe@heaven\.example \(Joe\)\n/ },
  { env: { QMAILIDHOST: "id.example" }, printed: /\nMessage-ID: <\d{14}\.\d+\.\w+@id\.example>\n/ },
  { env: { QMAILDEFAULTHOST: "d.example" }, printed: /\nTo: list@lists\.example, a@d\.example\n/ },
] as const;

for (const { env, printed } of environments) {
  test(`§17.203 inject heeds ${new URLSearchParams(env)}`, async () => {
    const { stdout } = await inject(["-n"], "To: list@lists.example, a\n\n", env);
    assert.match(stdout, printed);
  });
}

test("§17.209 inject reads the lists that QMAILMFTFILE names", async () => {
  const env = { QMAILMFTFILE: join(root, "lists") };
  const { stdout } = await inject(["-n"], "To: list@lists.example\nCc: a\n\n", env);
  assert.match(stdout, /\nMail-Followup-To: a@heaven\.example,\n {2}list@lists\.example\n/);
  assert.doesNotMatch((await inject(["-n"], "To: a\n\n", env)).stdout, /Mail-Followup-To/);
});

test("§17.211 inject exits 111 while there is no server, 100 for a field it cannot read, and says why", async () => {
  const unsent = await inject(["a@b.example"], "\n");
  assert.equal(unsent.code, 111);
  assert.match(unsent.stderr, /^postern inject: fatal: postern is not running/);
  const unread = await inject([], "From: (\n\n");
  assert.equal(unread.code, 100);
  assert.match(unread.stderr, /^postern inject: fatal: unable to parse this line:\nFrom: \(\n/);
});

test("sendmail and inject hand in addresses of domains in other letters, by their A-labels", async () => {
  await using server = await startServer({ control: { mailboxdomains: "localhost:create\nbücher.example:create\n" } });
  const message = "Subject: x\n\nbody\n";
  const by = (command: string, args: readonly string[], text: string) =>
    runPostern([command, "--root", server.root, ...args], text);
  assert.equal((await by("sendmail", ["-f", "jörg@localhost", "one@bücher.example"], message)).code, 0);
  assert.equal((await by("inject", [], `To: zwei@Bücher.example\n${message}`)).code, 0);
  const mailOf = (user: string) => readMaildir(join(server.root, "mail/xn--bcher-kva.example", user, "Maildir"));
  await until("both", () => ["one", "zwei"].every((user) => mailOf(user).length === 1));
  assert.match(mailOf("one")[0]?.text ?? "", /^Delivered-To: one@xn--bcher-kva\.example$/m);
  const header = Buffer.from(mailOf("zwei")[0]?.text ?? "", "latin1").toString("utf8");
  assert.match(header, /^To: zwei@Bücher\.example$/m);
});
