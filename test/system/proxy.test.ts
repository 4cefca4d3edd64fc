import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "../support/commands.ts";
import { without } from "../support/missing.ts";
import { mailboxOf, readMaildir, startServer, until } from "../support/server.ts";

const skip = without("swaks", "perl:Net::SSLeay");
test("swaks as a proxy, version 1 and 2, also before STARTTLS and TLS: the client is who it says", {
  skip,
}, async () => {
  await using server = await startServer({ control: { proxyclients: "127.0.0.2\n", relayclients: "192.0.2.0/24\n" } });
  const ends = ["--proxy-source", "192.0.2.7", "--proxy-source-port", "12345"];
  const there = ["--proxy-dest", "198.51.100.2", "--proxy-dest-port", "25"];
  const versions = [
    ["--proxy-version", "1", "--proxy-family", "TCP4"],
    ["--proxy-version", "2", "--proxy-family", "AF_INET", "--proxy-protocol", "STREAM"],
  ];
  let sent = 0;
  for (const version of versions) {
    for (const way of [
      ["--port", String(server.smtpPort)],
      ["--tls", "--port", String(server.smtpPort)],
      ["--tlsc", "--port", String(server.smtpsPort)],
    ]) {
      const how = ["--server", "127.0.0.1", "--local-interface", "127.0.0.2", ...version, ...ends, ...there, ...way];
      const ran = await run("swaks", [...how, "--from", "a@b.test", "--to", "proxied@localhost"]);
      assert.equal(ran.code, 0, ran.stdout + ran.stderr);
      sent++;
    }
  }
  await until("the messages", () => readMaildir(mailboxOf(server, "proxied")).length === sent);
  for (const { text } of readMaildir(mailboxOf(server, "proxied"))) assert.match(text, /\(192\.0\.2\.7\)\n/);
  const log = readFileSync(join(server.root, "log/current"), "latin1");
  assert.match(log, /"address":"192\.0\.2\.7","port":12345,"service":"smtps"/);
});
