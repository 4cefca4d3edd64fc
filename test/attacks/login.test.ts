import assert from "node:assert/strict";
import { test } from "node:test";
import { makeSelfSigned } from "../../src/services/tls/self-signed.ts";
import { openStage, type Stage } from "../dialogues/stage.ts";
import { Talk } from "../dialogues/talk.ts";
import { control, relayForms, senderForms } from "./relay-forms.ts";

const certificates = [{ name: "default", ...makeSelfSigned(["here.example"], Date.now()) }];
const base64 = (text: string): string => Buffer.from(text, "latin1").toString("base64");
const right = base64("\0joe@localhost\0secret");
const wrong = base64("\0joe@localhost\0wrong");

/** What a stranger says to pass for somebody who has logged in. It is said in the clear, and again behind TLS. */
const bypasses: readonly (readonly [name: string, ...lines: readonly string[]])[] = [
  ["nothing"],
  ["AUTH alone", "AUTH"],
  ["AUTH without a mechanism", "AUTH  "],
  ["an empty initial response", "AUTH PLAIN ="],
  ["an empty response", "AUTH PLAIN", ""],
  ["NULs alone", `AUTH PLAIN ${base64("\0\0")}`],
  ["an empty password", `AUTH PLAIN ${base64("\0joe@localhost\0")}`],
  ["an empty user", `AUTH PLAIN ${base64("\0\0secret")}`],
  ["no NUL", `AUTH PLAIN ${base64("joe@localhost secret")}`],
  ["one NUL", `AUTH PLAIN ${base64("joe@localhost\0secret")}`],
  ["a wrong password", `AUTH PLAIN ${wrong}`],
  ["the password in capitals", `AUTH PLAIN ${base64("\0joe@localhost\0SECRET")}`],
  ["a blank behind the password", `AUTH PLAIN ${base64("\0joe@localhost\0secret ")}`],
  ["a NUL behind the user", `AUTH PLAIN ${base64("\0joe@localhost\0\0secret")}`],
  ["SQL", `AUTH PLAIN ${base64("\0' OR 1=1 --\0' OR 1=1 --")}`],
  ["a wildcard", `AUTH PLAIN ${base64("\0*\0*")}`],
  ["prototype", `AUTH PLAIN ${base64("\0__proto__\0")}`],
  ["constructor", `AUTH PLAIN ${base64("\0constructor\0function Object() { [native code] }")}`],
  ["UTF-8 look-alike", `AUTH PLAIN ${base64("\0j\xd0\xbee@localhost\0secret")}`],
  ["overlong UTF-8", `AUTH PLAIN ${base64("\xc0\x80joe@localhost\xc0\x80secret")}`],
  ["base64 that is cut", `AUTH PLAIN ${right.slice(0, -1)}`],
  ["base64 with more behind it", `AUTH PLAIN ${right}AAAA`],
  ["base64 with a blank in it", `AUTH PLAIN ${right.slice(0, 8)} ${right.slice(8)}`],
  ["base64 for URLs", "AUTH PLAIN __--"],
  ["an endless response", `AUTH PLAIN ${"A".repeat(13_000)}`],
  ["LOGIN that is cancelled", "AUTH LOGIN", "*"],
  ["LOGIN cancelled at its password", "AUTH LOGIN", base64("joe@localhost"), "*"],
  ["LOGIN with a wrong password", "AUTH LOGIN", base64("joe@localhost"), base64("wrong")],
  ["LOGIN with empty ones", "AUTH LOGIN", "", ""],
  ["LOGIN with commands in between", "AUTH LOGIN", "RSET", "MAIL FROM:<joe@localhost>"],
  ["a success that the client says itself", "AUTH LOGIN", "235 2.7.0 welcome"],
  ["SUCCESS as a command", "235 2.7.0 welcome"],
  ["EXTERNAL", "AUTH EXTERNAL ="],
  ["EXTERNAL with a name", `AUTH EXTERNAL ${base64("joe@localhost")}`],
  ["ANONYMOUS", `AUTH ANONYMOUS ${base64("joe@localhost")}`],
  ["NTLM", "AUTH NTLM", "TlRMTVNTUAABAAAA"],
  ["XOAUTH2", `AUTH XOAUTH2 ${base64("user=joe@localhost\x01auth=Bearer x\x01\x01")}`],
  ["OAUTHBEARER", "AUTH OAUTHBEARER ="],
  ["GSSAPI", "AUTH GSSAPI"],
  ["CRAM-MD5, which is off", "AUTH CRAM-MD5"],
  ["APOP, which is POP3's", `AUTH APOP ${base64("<1@x> joe@localhost x")}`],
  ["a mechanism named PLAIN and more", `AUTH PLAIN\tx ${right}`],
  ["AUTH of MAIL, empty", "MAIL FROM:<joe@localhost> AUTH=<>", "RSET"],
  ["AUTH of MAIL, with a name", "MAIL FROM:<joe@localhost> AUTH=joe@localhost", "RSET"],
  ["AUTH within a transaction", "MAIL FROM:<joe@localhost>", `AUTH PLAIN ${wrong}`, "RSET"],
  ["another's EHLO", "EHLO localhost", "EHLO [127.0.0.1]"],
  ["XCLIENT", "XCLIENT ADDR=127.0.0.1 LOGIN=joe@localhost"],
  ["XFORWARD", "XFORWARD ADDR=127.0.0.1"],
  ["PROXY", "PROXY TCP4 192.0.2.1 192.0.2.2 1 25"],
  ["STARTTLS with an argument", "STARTTLS AUTH"],
];

test("the catalogues have at least forty forms", () => {
  for (const forms of [bypasses, senderForms, relayForms]) assert.ok(forms.length >= 40);
});

const greeted = async (stage: Stage, tls: boolean): Promise<Talk> => {
  const talk = await Talk.open(stage.port);
  await talk.reply();
  if (tls) {
    assert.match(await talk.ask("STARTTLS"), /^220/);
    await talk.secure();
  }
  await talk.ask("EHLO c.example");
  return talk;
};

const loggedIn = async (stage: Stage, tls: boolean): Promise<Talk> => {
  const talk = await greeted(stage, tls);
  assert.match(await talk.ask(`AUTH PLAIN ${right}`), /^235/);
  return talk;
};

for (const tls of [false, true]) {
  for (const service of ["submission", "smtp"] as const) {
    test(`no form of not logging in lets a stranger relay by ${service}, ${tls ? "behind TLS" : "in the clear"}`, async (t) => {
      await using stage = await openStage({ ...control, authonport25: "1" }, { service, certificates });
      for (const [name, ...lines] of bypasses) {
        await t.test(name, async () => {
          const talk = await greeted(stage, tls);
          for (const line of lines) assert.doesNotMatch(await talk.ask(line), /^235/);
          const mail = await talk.ask("MAIL FROM:<joe@localhost>");
          assert.match(mail, service === "submission" ? /^530/ : /^250|^503/);
          assert.match(await talk.ask("RCPT TO:<a@evil.example>"), /^550 5\.7\.1|^503/);
          talk.close();
        });
      }
      assert.deepEqual(stage.queue.messages, []);
      assert.ok(stage.events.every(({ event }) => event !== "authenticated"));
    });
  }
}

test("in the clear not even the right password is taken, nor shown in the log", async () => {
  await using stage = await openStage(control, { service: "submission", certificates });
  const talk = await greeted(stage, false);
  assert.match(await talk.ask(`AUTH PLAIN ${right}`), /^538/);
  assert.match(await talk.ask("AUTH LOGIN"), /^538/);
  assert.deepEqual(stage.directory.begun, []);
  assert.ok(!JSON.stringify(stage.events).includes(right));
  talk.close();
});

test("a login does not survive STARTTLS, nor does a transaction: what was said in the clear is forgotten", async () => {
  await using stage = await openStage({ ...control, authwithouttls: "1" }, { service: "submission", certificates });
  const talk = await greeted(stage, false);
  assert.match(await talk.ask(`AUTH PLAIN ${right}`), /^235/);
  assert.match(await talk.ask("STARTTLS"), /^220/);
  await talk.secure();
  await talk.ask("EHLO c.example");
  assert.match(await talk.ask("MAIL FROM:<joe@localhost>"), /^530/);
  talk.close();
});

for (const tls of [false, true]) {
  const where = tls ? "behind TLS" : "in the clear";

  test(`after AUTH ${where} an account sends as itself and as nobody else, however that is written`, async (t) => {
    const service = "submission";
    await using stage = await openStage({ ...control, authwithouttls: "1" }, { service, certificates });
    for (const [name, path] of senderForms) {
      await t.test(name, async () => {
        const talk = await loggedIn(stage, tls);
        assert.match(await talk.ask(`MAIL FROM:${path}`), /^5[05][0-9] /);
        assert.match(await talk.ask("RCPT TO:<a@evil.example>"), /^503 /);
        assert.match(await talk.ask("MAIL FROM:<joe@localhost>"), /^250/);
        talk.close();
      });
    }
    assert.deepEqual(stage.queue.messages, []);
  });

  test(`after AUTH ${where} an account may send anywhere, and no form leads out that says here`, async (t) => {
    const service = "submission";
    await using stage = await openStage({ ...control, authwithouttls: "1" }, { service, certificates });
    for (const [name, path, reply, queued = ""] of relayForms) {
      await t.test(name, async () => {
        const talk = await loggedIn(stage, tls);
        await talk.ask("MAIL FROM:<joe@localhost>");
        const answered = await talk.ask(`RCPT TO:${path}`);
        assert.match(answered, new RegExp(`^(${reply.replace("550", "250")}) `));
        if (queued !== "") {
          assert.match(await talk.ask("DATA"), /^354/);
          assert.match(await talk.ask("\r\n."), /^250/);
          const [accepted = ""] = stage.queue.messages.at(-1)?.forwardPaths ?? [];
          assert.ok(queued.split("|").includes(accepted) || queued === accepted, accepted);
        }
        talk.close();
      });
    }
  });

  test(`before AUTH ${where} no sender gets a stranger any rights, however it is written`, async (t) => {
    await using stage = await openStage({ ...control, me: "localhost" }, { certificates });
    for (const [name, path, reply] of senderForms) {
      await t.test(`${name}: ${reply}`, async () => {
        const talk = await greeted(stage, tls);
        assert.match(await talk.ask(`MAIL FROM:${path}`), new RegExp(`^${reply} `));
        assert.match(await talk.ask("RCPT TO:<a@evil.example>"), reply === "250" ? /^550 5\.7\.1/ : /^503 /);
        talk.close();
      });
    }
  });
}

test("relaying has the same answers behind TLS as in the clear, after a login that failed as before it", async () => {
  await using stage = await openStage({ ...control, authonport25: "1" }, { certificates });
  for (const [at, [name, path, reply]] of relayForms.entries()) {
    const talk = await greeted(stage, true);
    if (at % 2 === 0) assert.match(await talk.ask(`AUTH PLAIN ${wrong}`), /^535/);
    await talk.ask("MAIL FROM:<s@far.example>");
    assert.match(await talk.ask(`RCPT TO:${path}`), new RegExp(`^(${reply}) `), name);
    talk.close();
  }
});
