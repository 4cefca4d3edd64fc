import { join } from "node:path";
import { parseQuota } from "../../protocol/maildir/quota.ts";
import type { Account } from "./ask.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What the program that is started finds in its environment: USER, HOME and SHELL as any checkpassword sets them, and
 * what Dovecot's `checkpassword-reply` takes from there, named in EXTRA.
 */
export function environmentFor({ name, uid, gid, home, maildir, quota }: Account, before: Environment): Environment {
  const forDovecot = {
    userdb_uid: String(uid),
    userdb_gid: String(gid),
    // One where Dovecot looks anyway is not named: it would take apart what names may have in them.
    ...(maildir === join(home, "Maildir") ? {} : { userdb_mail: `maildir:${maildir}` }),
    ...quotaRule(quota),
  };
  const extra = [before.EXTRA ?? "", ...Object.keys(forDovecot)].filter((each) => each !== "").join(" ");
  const found = before.AUTHORIZED === "1" ? { AUTHORIZED: "2" } : {};
  return { ...before, ...forDovecot, ...found, USER: name, HOME: home, SHELL: "/bin/sh", EXTRA: extra };
}

function quotaRule(text: string): { readonly userdb_quota_rule?: string } {
  const quota = parseQuota(text);
  if (!quota) return {};
  return { userdb_quota_rule: `*:bytes=${quota.octets}:messages=${quota.messages}` };
}
