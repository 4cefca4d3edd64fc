import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { formatArgon2, hashArgon2 } from "../../src/protocol/password/argon2.ts";
import { deriveScramKeys, formatScramKeys } from "../../src/protocol/password/scram-keys.ts";
import { compileAccounts, openAccounts } from "../../src/services/accounts/open-accounts.ts";

/** Writes accounts into the folder of a server that has not begun yet: address, password and quota in octets. */
export async function writeAccounts(
  root: string,
  accounts: readonly (readonly [address: string, password: string, quotaOctets?: number])[],
): Promise<void> {
  const folder = join(root, "directory");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const opened = openAccounts(folder, 1_000);
  if (opened.kind !== "done") throw new Error(opened.text);
  const store = opened.value;
  for (const domain of new Set(accounts.map(([address]) => address.slice(address.indexOf("@") + 1)))) {
    store.putDomain({ name: domain, mail: 1 });
  }
  for (const [address, secret, quotaOctets = 0] of accounts) {
    const password = Buffer.from(secret);
    store.putUser({
      address,
      hash: formatArgon2(await hashArgon2(password, randomBytes(16))),
      scram: formatScramKeys(await deriveScramKeys(password, randomBytes(16))),
      secret,
      quotaOctets,
      quotaMessages: 0,
      enabled: 1,
      lastLoginMs: 0,
    });
  }
  const compiled = compileAccounts(store, folder);
  if (compiled.kind !== "done") throw new Error(compiled.text);
  store.close();
}
