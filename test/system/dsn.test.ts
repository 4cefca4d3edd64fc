/** Delivery status notifications between real clients and servers: Python's smtplib before us, Postfix behind us. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { unlessRoot, without } from "../support/missing.ts";
import { startPostfix } from "../support/postfix.ts";
import { mailboxOf, readMaildir, type Server, startServer, until } from "../support/server.ts";

const script = `
import smtplib, sys
with smtplib.SMTP("127.0.0.1", int(sys.argv[1])) as s:
    s.ehlo()
    assert s.has_extn("dsn")
    for to in sys.argv[3:]:
        options = ["ENVID=QQ+2B314159", "RET=HDRS"]
        code, text = s.mail("s@localhost", options)
        assert code == 250, text
        code, text = s.rcpt(to, ["NOTIFY=" + sys.argv[2], "ORCPT=rfc822;old+2B" + to])
        assert code == 250, text
        code, text = s.data("Subject: for " + to + "\\r\\n\\r\\nsecret\\r\\n")
        assert code == 250, text
`;

function send(server: Server, notify: string, ...to: readonly string[]): void {
  const { status, stderr } = spawnSync("python3", ["-c", script, String(server.smtpPort), notify, ...to]);
  assert.equal(status, 0, String(stderr));
}

const reportsOf = (server: Server): readonly string[] => readMaildir(mailboxOf(server, "s")).map(({ text }) => text);
const field = (text: string, name: string): string | undefined => new RegExp(`^${name}: (.*)$`, "m").exec(text)?.[1];
const actions = (server: Server): readonly (string | undefined)[] =>
  reportsOf(server)
    .map((text) => `${field(text, "Action")} ${field(text, "Final-Recipient")}`)
    .sort();

test("a client of smtplib hears of what was delivered here, and of nothing else it did not ask for", {
  skip: without("python3"),
}, async () => {
  await using server = await startServer({});
  send(server, "SUCCESS,FAILURE", "u@localhost");
  send(server, "FAILURE", "v@localhost");
  send(server, "NEVER", "w@localhost");
  await until("the mail, and a report", () => {
    return ["u", "v", "w", "s"].every((user) => readMaildir(mailboxOf(server, user)).length === 1);
  });
  const [report = ""] = reportsOf(server);
  assert.equal(field(report, "Action"), "delivered");
  assert.equal(field(report, "Original-Envelope-Id"), "QQ+314159");
  assert.equal(field(report, "Original-Recipient"), "rfc822; old+u@localhost");
  assert.match(report, /\nSubject: for u@localhost\n/);
  assert.doesNotMatch(report, /secret/);
});

const skip = unlessRoot() || without("postfix") || without("python3");

test("behind a Postfix that takes DSN its own report comes, behind one that does not ours", { skip }, async () => {
  await using postfix = await startPostfix({ default_transport: "error:no way" });
  await using server = await startServer({ control: { smtproutes: `:127.0.0.1:${postfix.port}\n` } });
  send(server, "SUCCESS,FAILURE", "u@postfix.example");
  await until("its delivery", () => postfix.delivered().length === 1);
  await until("that it has nothing left", () => /status=sent/.test(postfix.log()));
  // Postfix has the ENVID and the ORCPT, and says so in its own report, which it cannot send from here.
  await until("its report", () => /sender delivery status notification/.test(postfix.log()));
  assert.deepEqual(reportsOf(server), []);

  await using plain = await startPostfix({ smtpd_discard_ehlo_keywords: "dsn" });
  await using other = await startServer({ control: { smtproutes: `:127.0.0.1:${plain.port}\n` } });
  send(other, "SUCCESS,FAILURE", "u@postfix.example");
  send(other, "FAILURE", "v@postfix.example");
  await until("its deliveries", () => plain.delivered().length === 2);
  await until("our report", () => reportsOf(other).length === 1);
  assert.deepEqual(actions(other), ["relayed rfc822; u@postfix.example"]);
  const [report = ""] = reportsOf(other);
  assert.equal(field(report, "Original-Recipient"), "rfc822; old+u@postfix.example");
  assert.match(field(report, "Remote-MTA") ?? "", /^dns; /);
  assert.match(report, /\nDiagnostic-Code: x-postern; .*250/);
});
