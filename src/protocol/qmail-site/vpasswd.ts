import { readCdb } from "../cdb/read.ts";
import { done, type Outcome, temporary } from "../outcome.ts";

/** A mailbox of vpopmail. */
export interface VirtualAccount {
  readonly name: string;
  readonly home: string;
  /** As crypt(3) made it. */
  readonly hash: string;
  /** As it stands there: "10485760S,1000C", or "NOQUOTA". */
  readonly quota: string;
  /** The password itself, where vpopmail keeps it; else "". */
  readonly clear: string;
  /** What vpopmail keeps the account from. */
  readonly forbids: readonly Service[];
}

export type Service = keyof typeof flags;
/** Bits of the field that a passwd has its group in, as vpopmail's vmoduser sets them. */
const flags = { POP3: 0x02, IMAP: 0x08, SMTP: 0x800 } as const;
const services: readonly Service[] = ["POP3", "IMAP", "SMTP"];

/** Reads the lines of `vpasswd`: name, password, uid, flags, gecos, home, quota, maybe the clear password. */
export function parseVpasswd(text: string): Outcome<readonly VirtualAccount[]> {
  const accounts: VirtualAccount[] = [];
  for (const [at, line] of text.split("\n").entries()) {
    if (line === "") continue;
    const account = accountOf(line);
    if (!account) return temporary("3.5", `line ${at + 1} is no account`);
    accounts.push(account);
  }
  return done(accounts);
}

/** Reads `vpasswd.cdb`: the name is the key, what follows it in the line is the data. */
export function parseVpasswdCdb(file: Buffer): Outcome<readonly VirtualAccount[]> {
  const read = readCdb(file);
  if (read.kind !== "done") return read;
  const accounts: VirtualAccount[] = [];
  for (const [name, data] of read.value) {
    const account = accountOf(`${name}:${withoutEnd(data.replace(/^:/, ""))}`);
    if (!account) return temporary("3.5", `the record of ${name} is no account`);
    accounts.push(account);
  }
  return done(accounts);
}

/** Some writers of the file end a record with a line end, some with a NUL. */
function withoutEnd(text: string): string {
  let end = text.length;
  while (end > 0 && "\0\n".includes(text.charAt(end - 1))) end--;
  return text.slice(0, end);
}

function accountOf(line: string): VirtualAccount | undefined {
  const [name = "", hash = "", , bits = "", , home = "", ...more] = line.split(":");
  if (!/^[^\s:/\0]{1,64}$/.test(name) || !home.startsWith("/") || home.includes("\0") || more.length === 0)
    return undefined;
  const [quota = "", clear = ""] = more;
  const forbids = services.filter((service) => (Number(bits) & flags[service]) !== 0);
  return { name, home, hash, quota, clear, forbids };
}

/**
 * The lines of users/assign for a domain's accounts: the home is where the mail already is. `prefix` is what
 * virtualdomains puts before the domain's addresses. Accounts named in `taken` are left out.
 */
export function assignLines(
  accounts: readonly VirtualAccount[],
  domain: { readonly prefix: string; readonly uid: number; readonly gid: number },
  taken: (key: string) => boolean,
): readonly string[] {
  return accounts.flatMap(({ name, home }) => {
    const key = `${domain.prefix}-${name}`;
    return taken(key) ? [] : [`=${key}:vpopmail:${domain.uid}:${domain.gid}:${home}:::`];
  });
}

/** users/assign with lines added before its last, "."; in a text without one, or in none, it is added too. */
export function withAssignLines(text: string, lines: readonly string[]): string {
  const all = text.split("\n");
  const end = all.findIndex((line) => line.startsWith("."));
  const before = (end < 0 ? all : all.slice(0, end)).filter((line) => line !== "");
  return [...before, ...lines, ".", ""].join("\n");
}
