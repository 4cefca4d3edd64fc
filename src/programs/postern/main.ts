#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { temporary } from "../../protocol/outcome.ts";
import { type Command, complain, exitDone, exitUsage, say } from "./command.ts";

type Entry = readonly [summary: string, load: () => Promise<{ readonly command: Command }>];

const commands = new Map<string, Entry>([
  ["start", ["run the server, in the foreground", () => import("./start.ts")]],
  ["stop", ["stop it, and wait until it has", () => import("./stop.ts")]],
  ["reload", ["have it read its control files again", () => import("./reload.ts")]],
  ["status", ["its programs, and the walls around them", () => import("./status.ts")]],
  ["queue", ["look at the queue, and change it", () => import("./queue.ts")]],
  ["log", ["what happened, and what happens", () => import("./log.ts")]],
  ["config", ["read, change and check control files", () => import("./config.ts")]],
  ["domain", ["domains whose mailboxes are accounts", () => import("./domain.ts")]],
  ["user", ["users: their passwords, quotas, rights", () => import("./user.ts")]],
  ["alias", ["addresses whose mail goes to others", () => import("./alias.ts")]],
  ["app-password", ["passwords for one program or device", () => import("./app-password.ts")]],
  ["explain", ["where mail for an address goes, and why", () => import("./explain.ts")]],
  ["import", ["take over a qmail: its files and its queue", () => import("./import.ts")]],
  ["newu", ["make users/cdb from users/assign", () => import("./newu.ts")]],
  ["newmrh", ["make control/morercpthosts.cdb", () => import("./newmrh.ts")]],
  ["pw2u", ["make users/assign from the accounts of this system", () => import("./pw2u.ts")]],
]);

const help = (): string => `usage: postern COMMAND [ARGUMENT ...]

${[...commands].map(([name, [summary]]) => `  ${name.padEnd(14)}${summary}`).join("\n")}
  inject        send a message, its header completed (qmail-inject)
  sendmail      send a message, as other programs do
  version       which Postern this is

postern COMMAND --help tells more. --root DIR is the folder of the server that is meant; else POSTERN_ROOT, else the
system's (/etc/postern), else ./var.`;

await run(process.argv.slice(2));

async function run([name = "help", ...args]: readonly string[]): Promise<void> {
  // Whoever reads our output may have seen enough: `postern log | head`.
  process.stdout.on("error", ({ code, message }: NodeJS.ErrnoException) =>
    process.exit(code === "EPIPE" ? exitDone : complain(temporary("3.0", `cannot write the output: ${message}`))),
  );
  process.exitCode = await runCommand(name, args);
}

async function runCommand(name: string, args: readonly string[]): Promise<number> {
  if (["help", "--help", "-h"].includes(name)) {
    say(help());
    return exitDone;
  }
  if (["version", "--version", "-V"].includes(name)) {
    say(`postern ${versionOf(readFileSync(new URL("../../../package.json", import.meta.url), "utf8"))}`);
    return exitDone;
  }
  const entry = commands.get(name);
  if (!entry) {
    process.stderr.write(`postern: there is no command ${name}\n\n${help()}\n`);
    return exitUsage;
  }
  const { command } = await entry[1]();
  if (name !== "start" && (args.includes("--help") || args.includes("-h"))) {
    say(command.usage);
    return exitDone;
  }
  return await command.run(args);
}

function versionOf(packageText: string): string {
  const { version } = JSON.parse(packageText) as { readonly version?: unknown };
  return String(version);
}
