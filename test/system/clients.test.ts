import assert from "node:assert/strict";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { postfixTool, run } from "../support/commands.ts";
import { without } from "../support/missing.ts";
import { mailboxOf, readMaildir, type Server, startServer, temporaryFolder, until } from "../support/server.ts";

const postern = join(import.meta.dirname, "../../bin/postern");
let server: Server;
let scratch: string;
before(async () => {
  server = await startServer();
  scratch = temporaryFolder();
  mkdirSync(join(scratch, "bin"));
  symlinkSync(postern, join(scratch, "bin/sendmail"));
});
after(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true, force: true });
});

const arrival = async (localPart: string, count = 1): Promise<string> => {
  await until(`${count} messages for ${localPart}`, () => readMaildir(mailboxOf(server, localPart)).length >= count);
  const messages = readMaildir(mailboxOf(server, localPart));
  assert.equal(messages.length, count);
  return messages[0]?.text ?? "";
};

test("swaks: a message with an attachment, and a refused recipient", { skip: without("swaks") }, async () => {
  const common = ["--server", `127.0.0.1:${server.smtpPort}`, "--from", "me@example.test"];
  const sent = await run("swaks", [...common, "--to", "swaks@localhost", "--attach", "@/etc/debian_version"]);
  assert.equal(sent.code, 0, sent.stdout);
  assert.match(await arrival("swaks"), /This is a test mailing/);
});

test("smtp-source: 200 messages over 10 connections", { skip: without("smtp-sink") }, async () => {
  const to = ["-t", "source@localhost", "-f", "load@example.test"];
  const sent = await postfixTool("smtp-source", [
    "-m",
    "200",
    "-s",
    "10",
    "-d",
    "-l",
    "3000",
    ...to,
    `127.0.0.1:${server.smtpPort}`,
  ]);
  assert.equal(sent.code, 0, sent.stderr);
  await arrival("source", 200);
});

test("Python's smtplib: several recipients in one transaction", { skip: without("python3") }, async () => {
  const script = `
import smtplib, sys
with smtplib.SMTP("127.0.0.1", int(sys.argv[1])) as s:
    s.ehlo()
    assert s.has_extn("pipelining") and s.has_extn("size") and s.has_extn("8bitmime") and s.has_extn("enhancedstatuscodes")
    refused = s.sendmail("p@example.test", ["py1@localhost", "py2@localhost"], b"Subject: py\\r\\n\\r\\n.dot\\r\\n")
    assert refused == {}
`;
  const sent = await run("python3", ["-c", script, String(server.submissionPort)]);
  assert.equal(sent.code, 0, sent.stderr);
  assert.match(await arrival("py1"), /\n\n\.dot\n$/);
  assert.match(await arrival("py2"), /\n\n\.dot\n$/);
});

test("sendmail -t: completes the header, keeps Bcc out, knows the caller", async () => {
  const sent = await server.postern(
    ["sendmail", "-t", "-i", "-f", "writer@example.test"],
    "To: tee1@localhost\nBcc: tee2@localhost\nSubject: by hand\n\nA body.\n.\nafter a dot\n",
  );
  assert.deepEqual({ code: sent.code, stderr: sent.stderr }, { code: 0, stderr: "" });
  const text = await arrival("tee1");
  assert.match(text, /^Return-Path: <writer@example\.test>\n/);
  assert.match(text, new RegExp(`^Received: \\(postern \\d+ invoked by uid ${process.getuid?.()}\\)`, "m"));
  for (const field of ["Date", "Message-ID", "From"]) assert.match(text, new RegExp(`^${field}: `, "m"));
  assert.doesNotMatch(text, /^Bcc:/m);
  assert.match(text, /\nA body\.\n\.\nafter a dot\n$/);
  await arrival("tee2");
});

test("sendmail under its own name, recipients as arguments", async () => {
  const sent = await run(join(scratch, "bin/sendmail"), ["-oi", "args@localhost"], "Subject: x\n\ny\n", {
    POSTERN_ROOT: server.root,
  });
  assert.deepEqual({ code: sent.code, stderr: sent.stderr }, { code: 0, stderr: "" });
  await arrival("args");
});

test("mutt through sendmail", { skip: without("mutt") }, async () => {
  const settings = join(scratch, "muttrc");
  writeFileSync(
    settings,
    `set sendmail="${join(scratch, "bin/sendmail")} -oem -oi"\nset from=m@example.test\nset record=""\nset use_envelope_from=yes\n`,
  );
  const sent = await run("mutt", ["-F", settings, "-s", "from mutt", "mutt@localhost"], "Said with mutt.\n", {
    POSTERN_ROOT: server.root,
    HOME: scratch,
  });
  assert.equal(sent.code, 0, sent.stderr);
  assert.match(await arrival("mutt"), /Said with mutt\.\n$/);
});

test("sendmail with the server down: 75, and it says what to do", async () => {
  const empty = join(scratch, "nobody-here");
  mkdirSync(join(empty, "control"), { recursive: true });
  const sent = await run(join(scratch, "bin/sendmail"), ["x@localhost"], "Subject: x\n\n", { POSTERN_ROOT: empty });
  assert.equal(sent.code, 75);
  assert.match(sent.stderr, /postern/);
});
