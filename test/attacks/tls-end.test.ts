import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";
import { makeSelfSigned } from "../../src/services/tls/self-signed.ts";
import { openPop3Stage } from "../dialogues/pop3-stage.ts";
import { openStage } from "../dialogues/stage.ts";

const certificates = [{ name: "default", ...makeSelfSigned(["localhost"], Date.now()) }];
const begin = ["EHLO c.example", "MAIL FROM:<joe@localhost>", "RCPT TO:<joe@localhost>"];

/** What a client says behind TLS, the last piece of it without an answer; and in the clear after it has ended TLS. */
interface Row {
  readonly name: string;
  readonly lines: readonly string[];
  readonly rest: string;
  readonly clear: string;
}
const rows: readonly Row[] = [
  {
    name: "between commands",
    lines: ["EHLO c.example"],
    rest: "",
    clear: `${begin.join("\r\n")}\r\nDATA\r\nx\r\n.\r\n`,
  },
  {
    name: "within a command",
    lines: begin.slice(0, 2),
    rest: "RCPT TO:<jo",
    clear: "e@localhost>\r\nDATA\r\nx\r\n.\r\n",
  },
  { name: "within DATA", lines: [...begin, "DATA"], rest: "Subject: x\r\n", clear: "\r\nx\r\n.\r\n" },
  { name: "before the last octet of DATA", lines: [...begin, "DATA"], rest: "x\r\n.\r", clear: "\n" },
  // CVE-2026-45185: one octet in the clear went where the TLS of before had its buffer.
  { name: "within BDAT", lines: begin, rest: `BDAT 100 LAST\r\n${"x".repeat(50)}`, clear: "y".repeat(50) },
  { name: "before the last octet of BDAT", lines: begin, rest: `BDAT 10 LAST\r\n${"x".repeat(9)}`, clear: "y" },
];

/** Ends TLS without ending the connection below it, which Node's own sockets never do. */
function below(raw: Socket): Duplex {
  const duplex = new Duplex({
    read() {},
    write: (chunk, _, done) => void raw.write(chunk, done),
    final: (done) => done(),
  });
  raw.on("data", (chunk) => duplex.push(chunk));
  raw.on("end", () => duplex.push(null));
  return duplex;
}

/** Says the lines behind TLS, and the rest; ends TLS, unless told to keep it, and goes on. Resolves with what came back then. */
async function attack(
  port: number,
  opening: readonly string[],
  { lines, rest, clear }: Row,
  keepsTls = false,
): Promise<string> {
  const raw = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  raw.on("error", () => {});
  if (opening.length > 0) await once(raw, "data");
  for (const line of opening) {
    raw.write(`${line}\r\n`);
    await once(raw, "data");
  }
  const secured = connectTls({ socket: below(raw), rejectUnauthorized: false });
  secured.on("error", () => {});
  await once(secured, "secureConnect");
  if (opening.length === 0) await once(secured, "data");
  for (const line of lines) {
    secured.write(`${line}\r\n`);
    await once(secured, "data");
  }
  if (rest !== "") await new Promise((resolve) => secured.write(rest, "latin1", resolve));
  if (!keepsTls) await new Promise<void>((resolve) => secured.end(resolve));
  const last = keepsTls ? secured : raw;
  let heard = "";
  last.on("data", (chunk: Buffer) => {
    heard += chunk.toString("latin1");
  });
  if (!keepsTls) raw.end(clear, "latin1");
  else secured.write(`${clear}QUIT\r\n`, "latin1");
  await once(last, "end");
  raw.destroy();
  return heard;
}

const login = `AUTH PLAIN ${Buffer.from("\0joe@localhost\0secret").toString("base64")}`;
const ports: readonly { readonly service: "smtp" | "smtps"; readonly opening: string[]; readonly login: string[] }[] = [
  { service: "smtp", opening: ["EHLO c.example", "STARTTLS"], login: [] },
  { service: "smtps", opening: [], login: [login] },
];
for (const { service, opening, login } of ports) {
  for (const row of rows) {
    const [hello = "", ...more] = row.lines;
    const said = { ...row, lines: [hello, ...login, ...more] };

    test(`TLS that ends ${row.name} ends the session, and clear text after it is not heard (${service})`, async () => {
      await using stage = await openStage({ me: "localhost" }, { service, certificates });
      assert.doesNotMatch(await attack(stage.port, opening, said), /^[2-5]\d\d[ -]/m);
      assert.deepEqual(stage.queue.messages, []);
    });

    test(`the same is a message when TLS does not end ${row.name} (${service})`, async () => {
      await using stage = await openStage({ me: "localhost" }, { service, certificates });
      assert.match(await attack(stage.port, opening, said, true), /^250 2\.0\.0[^\n]*\n221/m);
      assert.equal(stage.queue.messages.length, 1);
    });
  }
}

test("TLS that ends before the password ends the session of POP3", async () => {
  const messages = { "new/1700000001.a.mx": "Subject: private\n\nsecret words\n" };
  await using stage = await openPop3Stage({ certificates, messages });
  const row = { name: "", lines: ["USER joe@localhost"], rest: "", clear: "PASS secret\r\nRETR 1\r\n" };
  assert.doesNotMatch(await attack(stage.port, ["STLS"], row), /\+OK|-ERR|secret words/);
  assert.ok(stage.events.every(({ event }) => event !== "authenticated"));
});

/** The types of TLS records, one after the other (RFC 5246 §6.2.1). */
function recordTypes(octets: Buffer): (number | undefined)[] {
  const types: (number | undefined)[] = [];
  for (let at = 0; at + 5 <= octets.length; at += 5 + octets.readUInt16BE(at + 3)) types.push(octets[at]);
  return types;
}
const alert = 21;
const applicationData = 23;

test("smtpd says the end of TLS behind its last reply", async () => {
  await using stage = await openStage({ me: "localhost" }, { service: "smtps", certificates });
  const raw = connect({ port: stage.port, host: "127.0.0.1" });
  const secured = connectTls({ socket: below(raw), rejectUnauthorized: false, maxVersion: "TLSv1.2" });
  secured.on("error", () => {});
  await once(secured, "data");
  const heard: Buffer[] = [];
  raw.on("data", (chunk: Buffer) => heard.push(chunk));
  secured.write("QUIT\r\n");
  await once(raw, "close");
  assert.deepEqual(recordTypes(Buffer.concat(heard)), [applicationData, alert]);
});
