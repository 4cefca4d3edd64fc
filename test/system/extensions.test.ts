/** SMTP's extensions and LMTP, with clients that others wrote. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { run } from "../support/commands.ts";
import { unlessRoot, without } from "../support/missing.ts";
import { startPostfix } from "../support/postfix.ts";
import {
  freePort,
  mailboxOf,
  readMaildir,
  type Server,
  startServer,
  temporaryFolder,
  until,
} from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

let server: Server;
let lmtpPath: string;
let lmtpPort: number;
before(async () => {
  lmtpPath = join(temporaryFolder(), "lmtp");
  lmtpPort = await freePort();
  server = await startServer({ control: { lmtplisten: `${lmtpPath}\n127.0.0.1:${lmtpPort}\n`, relayclients: "" } });
});
after(async () => await server[Symbol.asyncDispose]());

async function arrival(localPart: string): Promise<string> {
  await until(`mail for ${localPart}`, () => readMaildir(mailboxOf(server, localPart)).length > 0);
  return readMaildir(mailboxOf(server, localPart))[0]?.text ?? "";
}

test("swaks: LMTP, a reply for each recipient, by socket and by TCP", { skip: without("swaks") }, async () => {
  const places = [
    ["--socket", lmtpPath],
    ["--server", `127.0.0.1:${lmtpPort}`],
  ];
  for (const [at, place] of places.entries()) {
    const to = `lmtp${at}a@localhost,no@elsewhere.example,lmtp${at}b@localhost`;
    const sent = await run("swaks", ["--protocol", "LMTP", ...place, "--from", "me@example.test", "--to", to]);
    assert.equal(sent.stdout.match(/^<- +250 2\.0\.0 ok \d+ qp \d+$/gm)?.length, 2, sent.stdout);
    assert.match(sent.stdout, /^<\*\* 550 5\.7\.1 /m);
    assert.match(await arrival(`lmtp${at}a`), /^ {2}by localhost with LMTP; /m);
    await arrival(`lmtp${at}b`);
  }
});

test("Postfix's lmtp client delivers to us, and bounces what we refuse", {
  skip: unlessRoot() || without("postfix"),
}, async () => {
  await using postfix = await startPostfix({ default_transport: `lmtp:unix:${lmtpPath}` });
  const client = await SmtpClient.open(postfix.port);
  const recipients = ["pfa@localhost", "no@else.example", "pfb@localhost"];
  assert.match(await client.message("pfs@localhost", recipients, "Subject: x\n\nfrom Postfix\n"), /^250/);
  await client.quit();
  for (const localPart of ["pfa", "pfb"]) assert.match(await arrival(localPart), /\n\nfrom Postfix\n$/);
  assert.match(await arrival("pfs"), /<no@else\.example>: host /);
  assert.equal(postfix.log().match(/status=sent \(250 2\.0\.0 ok \d+ qp \d+\)/g)?.length, 3, postfix.log());
});
