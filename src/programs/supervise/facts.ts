import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { networkInterfaces, userInfo } from "node:os";
import { dirname } from "node:path";
import type { Settings } from "../../protocol/control/table.ts";
import type { LaunchPlan } from "../../services/launch/plan.ts";
import { accountsCdbPath, type Layout } from "../../services/layout/layout.ts";
import type { Account } from "./accounts.ts";
import type { AccountName, ProgramName } from "./walls.ts";

export interface FactsOptions {
  /** The server's folder, as on the command line. */
  readonly root: string;
  readonly layout: Layout;
  /** Absent in embedded mode. */
  readonly accounts: ReadonlyMap<AccountName, Account> | undefined;
  readonly deliver: LaunchPlan;
  readonly pop3session: LaunchPlan;
  /** How many smtpd share the work. */
  readonly smtpdProcesses: number;
  readonly settings: () => Settings;
}

/** What each program is told beside its settings. Read afresh at each of its starts. */
export function factsFor(program: ProgramName, options: FactsOptions): Readonly<Record<string, unknown>> {
  const { layout, accounts, deliver, pop3session } = options;
  switch (program) {
    case "queue":
      return { folder: layout.queue, hostname: options.settings().me };
    case "directory":
      return { folder: layout.directory };
    case "hook":
      return { folder: layout.hook, home: dirname(layout.control), root: options.root };
    case "logger":
      return { folder: layout.log };
    case "local": {
      const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
      const mail = accounts?.get("postern-mail") ?? self;
      const alias = accounts?.get("postern-alias") ?? self;
      return {
        embedded: accounts === undefined,
        mailFolder: layout.mail,
        usersFolder: layout.users,
        accountsFile: accountsCdbPath(layout.directory),
        aliasFolder: layout.alias,
        mailUser: { uid: mail.uid, gid: mail.gid },
        aliasUser: {
          uid: alias.uid,
          gid: alias.gid,
          name: accounts ? "postern-alias" : ownName(),
          home: layout.alias,
        },
        deliver,
        pop3session,
      };
    }
    case "smtpd":
      return { ipAddresses: ownAddresses(), processes: options.smtpdProcesses };
    case "remote":
      return { ipAddresses: ownAddresses(), nameservers: systemNameservers() };
    case "qmtpd":
    case "qmqpd":
    case "pop3d":
    case "authd":
    case "pop3session":
    case "deliver":
      return {};
    default:
      return program satisfies never;
  }
}

const ownAddresses = (): readonly string[] =>
  Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address));

/** A container's user may have a number and no name. */
function ownName(): string {
  try {
    return userInfo().username;
  } catch {
    return "postern";
  }
}

/** As resolv.conf(5) has it: without the file, or a line in it, the one on this host. */
function systemNameservers(): readonly string[] {
  let text = "";
  try {
    text = readFileSync("/etc/resolv.conf", "latin1");
  } catch {}
  const found = nameserversIn(text);
  return found.length > 0 ? found : ["127.0.0.1"];
}

/** The `nameserver` lines of a resolv.conf. */
export const nameserversIn = (text: string): readonly string[] =>
  text.split("\n").flatMap((line) => {
    const [keyword, address = ""] = line.trim().split(/[ \t]+/, 2);
    return keyword === "nameserver" && isIP(address) !== 0 ? [address] : [];
  });
