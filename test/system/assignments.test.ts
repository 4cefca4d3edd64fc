import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { without } from "../support/missing.ts";
import { readMaildir, startServer, temporaryFolder, until } from "../support/server.ts";
import { SmtpClient } from "../support/smtp-client.ts";

const root = temporaryFolder();
after(() => rmSync(root, { recursive: true }));
const many = 100_000;
const numbers = Array.from({ length: many }, (_, n) => n);

test("a server with 100,000 assignments and 100,000 domains, both compiled, takes and delivers; a new cdb counts at once", async () => {
  const ids = `${process.getuid?.()}:${process.getgid?.()}`;
  const home = (name: string): string => join(root, "homes", name);
  const assign = (name: string): string => `${numbers.map((n) => `=user${n}:u:${ids}:${home(name)}:::\n`).join("")}.\n`;
  for (const name of ["first", "second"])
    for (const sub of ["tmp", "new", "cur"]) mkdirSync(join(home(name), "Maildir", sub), { recursive: true });
  const control = {
    locals: "d99999.example\n",
    rcpthosts: "localhost\n",
    relayclients: "",
    smtprules: ":allow\n",
    morercpthosts: numbers.map((n) => `d${n}.example\n`).join(""),
  };
  await using server = await startServer({ folder: root, control, files: { "users/assign": assign("first") } });
  const send = async (to: string): Promise<string> => {
    const client = await SmtpClient.open(server.smtpPort);
    await client.command("EHLO c");
    await client.command("MAIL FROM:<a@b.example>");
    const answer = await client.command(`RCPT TO:<${to}>`);
    await client.command("RSET");
    if (answer.startsWith("250")) await client.message("a@b.example", [to], "Subject: x\n\n");
    await client.quit();
    return answer.slice(0, 3);
  };
  const arrived = (name: string): number => readMaildir(join(home(name), "Maildir")).length;

  assert.equal((await server.postern(["newmrh"])).code, 0);
  renameSync(join(root, "control/morercpthosts"), join(root, "morercpthosts"));
  assert.equal((await server.postern(["newu"])).code, 0);
  assert.equal((await server.postern(["reload"])).code, 0);
  assert.equal(await send("user99999@d99999.example"), "250");
  assert.equal(await send("user99999@d100000.example"), "550");
  await until("the first", () => arrived("first") === 1);

  writeFileSync(join(root, "users/assign"), assign("second"));
  assert.equal((await server.postern(["newu"])).code, 0);
  await until("a delivery by the new assignments", async () => {
    await send("USER0@d99999.example");
    return arrived("second") > 0;
  });
});

/** What a client hears that connects from `localAddress`, and asks for a stranger's mailbox. */
async function hears(port: number, localAddress: string): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", localAddress });
  let heard = "";
  socket.on("data", (chunk) => (heard += chunk));
  socket.end("HELO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<x@far.example>\r\nQUIT\r\n");
  await once(socket, "close");
  const replies = heard.split("\r\n").map((line) => line.slice(0, 3));
  return replies.filter((code) => code !== "").join(" ");
}

test("a tcp.smtp.cdb that tcprules made says who may relay", { skip: without("tcprules") }, async () => {
  const folder = join(root, "tcprules");
  mkdirSync(join(folder, "control"), { recursive: true });
  const rules = '127.0.0.2:deny\n127.0.0.4-6:allow,RELAYCLIENT=""\n127.0.0.:allow\n:deny\n';
  execFileSync("tcprules", ["tcp.smtp.cdb", "tcp.smtp.tmp"], { cwd: join(folder, "control"), input: rules });
  rmSync(join(folder, "control/tcp.smtp.tmp"), { force: true });
  await using server = await startServer({ folder, control: { relayclients: "" } });
  assert.equal(await hears(server.smtpPort, "127.0.0.5"), "220 250 250 250 221");
  assert.equal(await hears(server.smtpPort, "127.0.0.3"), "220 250 250 550 221");
  assert.match(await hears(server.smtpPort, "127.0.0.2"), /^(|421|553|554)$/);
  assert.match(await hears(server.smtpPort, "127.1.0.1"), /^(|421|553|554)$/);
});
