import { spawn } from "node:child_process";
import { chownSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { text } from "node:stream/consumers";
import { type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { type Account, parsePasswd } from "../../protocol/users/passwd.ts";
import { isSystemLayout } from "../layout/find-layout.ts";
import type { Layout } from "../layout/layout.ts";
import { carryOut } from "./carry-out.ts";
import type { AccountsAnswer, AccountsRequest } from "./request.ts";

const owner = "postern-directory";

/**
 * Has the accounts of a server changed or looked at, whether it runs or not. Of a system that is done by a process of
 * their owner: root itself never opens a file that another user may have written.
 */
export async function askAccounts(layout: Layout, request: AccountsRequest): Promise<Outcome<AccountsAnswer>> {
  if (!isSystemLayout(layout)) {
    makeFolder(layout.directory, undefined);
    return await carryOut(layout.directory, request);
  }
  if (process.getuid?.() !== 0) return permanent("5.1", "the accounts of this system are root's to change: use sudo");
  const account = parsePasswd(readFileSync("/etc/passwd", "latin1")).get(owner);
  if (!account || account.uid === 0)
    return permanent("3.5", `there is no user ${owner}: postern start says how to make it`);
  makeFolder(layout.directory, account);
  return await askAs(account, layout.directory, request);
}

function makeFolder(folder: string, account: Account | undefined): void {
  if (existsSync(folder)) return;
  mkdirSync(dirname(folder), { recursive: true, mode: 0o755 }); // others have folders there too
  mkdirSync(folder, { mode: 0o700 });
  if (account) chownSync(folder, account.uid, account.gid);
}

/** Without our groups and environment; what it says is one line of JSON. */
async function askAs(
  { uid, gid }: Account,
  folder: string,
  request: AccountsRequest,
): Promise<Outcome<AccountsAnswer>> {
  const program = join(import.meta.dirname, `as-owner${extname(import.meta.filename)}`);
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, folder], {
    ...{ uid, gid, cwd: "/", stdio: ["pipe", "pipe", "inherit"] },
    env: { PATH: "/usr/local/bin:/usr/bin:/bin", OPENSSL_CONF: "/dev/null" },
  });
  child.stdin.on("error", () => {}); // it has ended, and said why
  child.stdin.end(JSON.stringify(request));
  const answer = await text(child.stdout);
  try {
    return JSON.parse(answer) as Outcome<AccountsAnswer>;
  } catch {
    return temporary("3.0", `cannot use the accounts in ${folder} as ${owner}`);
  }
}
