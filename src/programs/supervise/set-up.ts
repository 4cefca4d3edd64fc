import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readSettings as parseSettings } from "../../protocol/control/parse.ts";
import type { Settings } from "../../protocol/control/table.ts";
import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import { readControlFiles } from "../../services/control-folder/control-folder.ts";
import {
  authSocket,
  embeddedLayout,
  type Layout,
  submissionSocket,
  systemLayout,
} from "../../services/layout/layout.ts";
import type { CertificateFiles } from "../../services/tls/certificate.ts";
import { readCertificates } from "../../services/tls/read-certificates.ts";
import { type Account, findAccounts, missing } from "./accounts.ts";
import { checkCertificates, firstCertificate } from "./certificates.ts";
import type { StartOptions } from "./command-line.ts";
import { makeFolders, portsFrom, writeFirstControl } from "./folders.ts";
import { bindListeners, type Listener } from "./listeners.ts";
import { lockFolder } from "./lock.ts";
import type { AccountName } from "./walls.ts";

/** All that must be there before the first program is started. */
export interface SetUp {
  /** The folder with programs/. */
  readonly code: string;
  readonly layout: Layout;
  /** Absent in embedded mode, where all programs are one user. */
  readonly accounts: ReadonlyMap<AccountName, Account> | undefined;
  readonly settings: Settings;
  readonly certificates: readonly CertificateFiles[];
  readonly listeners: readonly Listener[];
  /** Held by `queue` as long as it lives. */
  readonly queueLock: number;
}

const firstPortBase = 2_500;
const oldestNode = 26;

/** Checks who and where we are, makes what is missing, and takes the folder and the ports. */
export async function setUp(options: StartOptions): Promise<Outcome<SetUp>> {
  if (Number(process.versions.node.split(".")[0]) < oldestNode) {
    return permanent("3.5", `Node ${oldestNode} or later is needed; this is ${process.versions.node}`);
  }
  const layout = options.embedded ? embeddedLayout(options.root) : systemLayout(options.root);
  const accounts = options.embedded ? done(undefined) : productionAccounts();
  if (accounts.kind !== "done") return accounts;
  const made = makeFolders(layout, accounts.value);
  if (made.kind !== "done") return made;
  const locked = await lockFolder(layout.run);
  if (locked.kind !== "done") return locked;
  const control = firstControl(layout.control, options);
  if (control.kind !== "done") return control;
  const settings = readSettings(layout, options);
  if (settings.kind !== "done") return settings;
  if (needsHook(settings.value) && accounts.value && !accounts.value.has("postern-hook")) {
    return permanent("3.5", `control/qmailqueue or QMAILQUEUE in smtprules: ${missing("postern-hook")}`);
  }
  const certificates = startCertificates(layout, options, settings.value);
  if (certificates.kind !== "done") return certificates;
  const withoutTls = certificates.value.length === 0 ? { smtpslisten: [] } : {};
  if (needsPop3(settings.value) && accounts.value && !accounts.value.has("postern-pop3")) {
    return permanent("3.5", `control/pop3listen or pop3slisten: ${missing("postern-pop3")}`);
  }
  if (settings.value.authsocket === 1 && accounts.value && !accounts.value.has("postern-auth")) {
    return permanent("3.5", `control/authsocket: ${missing("postern-auth")}`);
  }
  const listeners = bindListeners(
    { ...settings.value, ...withoutTls },
    {
      submission: submissionSocket(layout),
      auth: authSocket(layout),
      authGroup: accounts.value?.get("postern-auth")?.gid,
    },
  );
  if (listeners.kind !== "done") return listeners;
  return done({
    code: join(import.meta.dirname, "../.."),
    layout,
    accounts: accounts.value,
    settings: settings.value,
    certificates: certificates.value,
    listeners: listeners.value,
    queueLock: locked.value,
  });
}

/** Whether a program of the site's is to see messages, of some clients at least. */
export const needsHook = ({ qmailqueue, smtprules }: Settings): boolean =>
  qmailqueue !== "" || smtprules.some((line) => line.includes("QMAILQUEUE="));

/** Whether anybody is to read mail by POP3. */
export const needsPop3 = ({ pop3listen, pop3slisten }: Settings): boolean => pop3listen.length + pop3slisten.length > 0;

/**
 * control/ as it is now; ports asked for on the command line go before its own. Nobody but root may have the default
 * port 465, and embedded folders made before there was one have no file for it.
 */
export function readSettings(layout: Layout, { embedded, portBase }: StartOptions): Outcome<Settings> {
  const files = readControlFiles(layout.control);
  if (files.kind !== "done") return files;
  const read = parseSettings(files.value);
  if (read.kind !== "done") return read;
  if (portBase !== undefined) return done({ ...read.value, ...portsFrom(portBase) });
  return embedded && !read.value.present.includes("smtpslisten") ? done({ ...read.value, smtpslisten: [] }) : read;
}

/** All of tls/ must be right at the start: a mail server that comes up without TLS would go unnoticed. */
function startCertificates(
  layout: Layout,
  { embedded }: StartOptions,
  settings: Settings,
): Outcome<readonly CertificateFiles[]> {
  const first = embedded ? firstCertificate(layout, settings.me, Date.now()) : done(undefined);
  if (first.kind !== "done") return first;
  const read = readCertificates(layout.tls);
  if (read.kind !== "done") return read;
  if (read.value.faults.length > 0) return permanent("3.5", read.value.faults.join("\n"));
  return checkCertificates(read.value.certificates, settings);
}

function productionAccounts(): Outcome<ReadonlyMap<AccountName, Account>> {
  if (process.getuid?.() !== 0) {
    return permanent("3.5", "start as root (sudo postern start), or as anybody with --embedded");
  }
  return findAccounts(readFileSync("/etc/passwd", "latin1"));
}

function firstControl(control: string, { embedded, portBase }: StartOptions): Outcome<void> {
  const me = join(control, "me");
  if (existsSync(me)) return done(undefined);
  if (embedded) return writeFirstControl(control, portBase ?? firstPortBase);
  return permanent(
    "3.5",
    `${me} is missing: write this server's full name into it, as in echo mail.example.org > ${me}`,
  );
}
