import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { osReason } from "../../services/kernel/os-reason.ts";
import { authSocket, type Layout, submissionSocket } from "../../services/layout/layout.ts";
import type { AccountName, Ids } from "./walls.ts";

const owners: readonly (readonly [keyof Layout, mode: number, AccountName | undefined])[] = [
  ["control", 0o755, undefined],
  ["users", 0o755, undefined],
  ["tls", 0o700, undefined],
  ["run", 0o755, undefined],
  ["queue", 0o700, "postern-queue"],
  ["mail", 0o700, "postern-mail"],
  ["alias", 0o755, "postern-alias"],
  ["directory", 0o700, "postern-directory"],
  ["hook", 0o700, "postern-hook"],
  ["log", 0o750, "postern-log"],
];

/** Makes what is missing of the layout; what is there keeps its owner and mode. `ids` is absent in embedded mode. */
export function makeFolders(layout: Layout, ids?: ReadonlyMap<AccountName, Ids>): Outcome<void> {
  let tried = "";
  try {
    for (const [place, mode, owner] of owners) {
      if (owner && ids && !ids.has(owner)) continue; // nobody is to have it
      tried = layout[place];
      makeFolder(tried, mode, owner && ids?.get(owner));
    }
    for (const socket of [submissionSocket(layout), authSocket(layout)]) {
      tried = dirname(socket);
      makeFolder(tried, 0o755, undefined);
    }
    return done(undefined);
  } catch (error) {
    return temporary("3.0", `cannot make folder ${tried}: ${osReason(error)}`);
  }
}

function makeFolder(path: string, mode: number, owner: Ids | undefined): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  try {
    mkdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return;
    throw error;
  }
  chmodSync(path, mode);
  if (owner) chownSync(path, owner.uid, owner.gid);
}

/** The control files of a first embedded run: all of localhost is ours, and loopback may send anywhere. */
export function writeFirstControl(control: string, portBase: number): Outcome<void> {
  const ports = portsFrom(portBase);
  const files = {
    mailboxdomains: "localhost:create",
    relayclients: "127.0.0.0/8\n::1",
    smtplisten: ports.smtplisten[0],
    submissionlisten: ports.submissionlisten[0],
    smtpslisten: ports.smtpslisten[0],
    me: "localhost", // last: it says that the others are there
  };
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(control, name), `${text}\n`, { mode: 0o644 });
    return done(undefined);
  } catch (error) {
    return temporary("3.0", `cannot write in ${control}: ${osReason(error)}`);
  }
}

/** Where embedded mode listens: 2525, 2587 and 2965 for a base of 2500. */
export const portsFrom = (portBase: number) => ({
  smtplisten: [`127.0.0.1:${portBase + 25}`] as const,
  submissionlisten: [`127.0.0.1:${portBase + 87}`] as const,
  smtpslisten: [`127.0.0.1:${portBase + 465}`] as const,
});
