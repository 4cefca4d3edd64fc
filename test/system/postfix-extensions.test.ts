/** What `remote` tells a real Postfix beyond the envelope, and over TLS that must be good. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { flagUtf8 } from "../../src/protocol/wire/submission.ts";
import { unlessRoot, without } from "../support/missing.ts";
import { startPostfix } from "../support/postfix.ts";
import { play } from "../support/remote-play.ts";
import { temporaryFolder, until } from "../support/server.ts";
import { makeAuthority } from "../support/test-authority.ts";

const utf8 = (text: string): string => Buffer.from(text).toString("latin1");

test("Postfix takes DSN and SMTPUTF8 from us over verified TLS, and no binary message", {
  skip: unlessRoot() || without("postfix", "openssl", "faketime"),
}, async () => {
  await using stack = new AsyncDisposableStack();
  const folder = temporaryFolder();
  stack.defer(() => rmSync(folder, { recursive: true }));
  const authority = makeAuthority();
  const { key, cert } = authority.issue("postfix.example");
  writeFileSync(join(folder, "chain.pem"), key + cert, { mode: 0o600 });
  const postfix = stack.use(
    await startPostfix({
      smtpd_tls_chain_files: join(folder, "chain.pem"),
      smtpd_tls_security_level: "encrypt",
      smtpd_tls_received_header: "yes",
      smtpd_tls_loglevel: "1",
      smtputf8_enable: "yes",
    }),
  );
  const playing = stack.use(
    await play({
      peers: {},
      config: {
        routes: new Map([["", { host: "127.0.0.1", port: postfix.port }]]),
        tlsRules: new Map([["", { level: "verify", names: ["postfix.example"] }]]),
        authorities: [authority.pem],
      },
    }),
  );
  const options = {
    ...{ envelopeId: "env+2Bid", ret: 2, flags: 0, priority: 9 },
    ...{ notify: [7], originalRecipients: ["rfc822;first+40postfix.example"] },
  };
  const forwardPaths = ["u@postfix.example"];
  const answered = await playing.queue.deliver({ body: "Subject: dsn\n\nx\n", forwardPaths, options });
  assert.match(answered.reports[0] ?? "", /^K 127\.0\.0\.1 accepted message\.\nRemote host said: 250 2\.0\.0 Ok/);
  assert.deepEqual(answered.relayed, ["127.0.0.1 1"]);
  await until("Postfix's own report", () => /sender delivery status notification/.test(postfix.log()));

  const international = {
    body: utf8("Subject: grüße\n\nx\n"),
    forwardPaths: [utf8("jürgen@postfix.example")],
    options: { ...options, flags: flagUtf8, notify: [0], originalRecipients: [""] },
  };
  const { reports } = await playing.queue.deliver(international);
  assert.match(reports[0] ?? "", /^K /);
  await until("both deliveries", () => postfix.delivered().length === 2);
  const texts = postfix.delivered();
  assert.ok(texts.every((text) => /\(using TLSv1\.[23] with cipher /.test(text)));
  assert.ok(
    texts.some((text) => text.includes("with UTF8SMTPS")),
    texts.join("\n"),
  );

  const binary = await playing.queue.deliver({ body: "a\0b", forwardPaths, bodyKind: 2 });
  assert.match(binary.reports[0] ?? "", /^D6\.1 127\.0\.0\.1 takes no binary messages/);
});
