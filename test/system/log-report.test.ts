import assert from "node:assert/strict";
import { test } from "node:test";
import { readMaildir, startServer, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

interface Report {
  readonly lines: { readonly unread: number; readonly unmatched: number };
  readonly messages: {
    readonly arrived: number;
    readonly ended: number;
    readonly open: number;
    readonly bounces: number;
  };
  readonly deliveries: {
    readonly local: { readonly success: number; readonly failure: number };
    readonly open: number;
  };
}

test("§17.233 postern log report matches every line of our own log, as JSON and as qmail-send's lines", async () => {
  await using server = await startServer({
    control: { relayclients: "", bounceformat: "qsbmf\n", recipientcheck: "accept\n" },
  });
  const client = await SmtpClient.open(server.smtpPort);
  await client.command("EHLO c");
  for (const to of ["ann", "bob", "ann"]) await client.message("ann@localhost", [`${to}@localhost`], "Subject: x\n\n");
  await client.message("ann@localhost", ["a/b@localhost"], "Subject: cannot be delivered\n\n");
  assert.match(await client.command("MAIL FROM:<x@y.example>"), /^250/);
  assert.match(await client.command("RCPT TO:<z@elsewhere.example>"), /^550/);
  await client.quit();
  await until("the bounce", () =>
    readMaildir(`${server.root}/mail/localhost/ann/Maildir`).some(({ text }) => text.includes("failure notice")),
  );
  assert.equal(await server.stop(), 0);
  const report = async (args: readonly string[], input?: string): Promise<Report> => {
    const { code, stdout, stderr } = await server.postern(["log", "report", "--json", ...args], input);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout) as Report;
  };
  const own = await report([]);
  assert.deepEqual([own.lines.unread, own.lines.unmatched], [0, 0]);
  assert.deepEqual([own.messages.arrived, own.messages.ended, own.messages.open, own.messages.bounces], [5, 5, 0, 1]);
  assert.deepEqual([own.deliveries.local.success, own.deliveries.local.failure, own.deliveries.open], [4, 1, 0]);
  for (const timestamps of ["tai64n", "iso"]) {
    const { stdout } = await server.postern(["log", "-n", "100000", "--timestamps", timestamps]);
    const classic = await report(["-"], stdout);
    assert.deepEqual(
      [classic.lines, classic.messages, classic.deliveries.local],
      [own.lines, own.messages, own.deliveries.local],
    );
  }
  const shown = await server.postern(["log", "report"]);
  assert.match(shown.stdout, /^local {7}5 attempts: 4 made, 0 put off, 1 failed$/m);
  assert.match(shown.stdout, /^ +1 +550 5\.7\.1 /m);
});
