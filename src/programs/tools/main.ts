#!/usr/bin/env node
import type { Tool } from "./tool.ts";

/** qmail's small programs, each by its name; only the named one is loaded. */
export const tools: ReadonlyMap<string, () => Promise<Tool>> = new Map<string, () => Promise<Tool>>([
  ["bouncesaying", async () => (await import("./conditions.ts")).bouncesaying],
  ["condredirect", async () => (await import("./condredirect.ts")).condredirect],
  ["datemail", async () => (await import("./predate.ts")).datemail],
  ["dot-forward", async () => (await import("./dot-forward.ts")).dotForward],
  ["except", async () => (await import("./conditions.ts")).except],
  ["fastforward", async () => (await import("./fastforward.ts")).fastforward],
  ["forward", async () => (await import("./forward.ts")).forward],
  ["maildir2mbox", async () => (await import("./maildir2mbox.ts")).maildir2mbox],
  ["maildirmake", async () => (await import("./maildirmake.ts")).maildirmake],
  ["maildirwatch", async () => (await import("./maildirwatch.ts")).maildirwatch],
  ["mailsubj", async () => (await import("./mailsubj.ts")).mailsubj],
  ["mbox2maildir", async () => (await import("./mbox2maildir.ts")).mbox2maildir],
  ["newaliases", async () => (await import("./alias-tools.ts")).newaliases],
  ["newinclude", async () => (await import("./alias-tools.ts")).newinclude],
  ["predate", async () => (await import("./predate.ts")).predate],
  ["preline", async () => (await import("./preline.ts")).preline],
  ["printforward", async () => (await import("./alias-tools.ts")).printforward],
  ["qbiff", async () => (await import("./qbiff.ts")).qbiff],
  ["qmail-newmrh", async () => (await import("./users-tools.ts")).newmrh],
  ["qmail-newu", async () => (await import("./users-tools.ts")).newu],
  ["qmail-pw2u", async () => (await import("./users-tools.ts")).pw2u],
  ["qmail-qread", async () => (await import("./queue-tools.ts")).qread],
  ["qmail-qstat", async () => (await import("./queue-tools.ts")).qstat],
  ["qmail-showctl", async () => (await import("./showctl.ts")).showctl],
  ["qmail-tcpok", async () => (await import("./queue-tools.ts")).tcpok],
  ["qmail-tcpto", async () => (await import("./queue-tools.ts")).tcpto],
  ["qreceipt", async () => (await import("./qreceipt.ts")).qreceipt],
  ["setforward", async () => (await import("./alias-tools.ts")).setforward],
  ["splogger", async () => (await import("./splogger.ts")).splogger],
]);

if (import.meta.main) process.exitCode = await run(process.argv.slice(2));

async function run([name = "", ...args]: readonly string[]): Promise<number> {
  const load = tools.get(name);
  if (!load) {
    process.stderr.write(`qmail-tools: there is no program ${name || "without a name"}\n`);
    return 100;
  }
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 111));
  const tool = await load();
  return await tool({ name, args, environment: process.env });
}
