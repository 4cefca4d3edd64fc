import assert from "node:assert/strict";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
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
