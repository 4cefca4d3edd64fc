import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { quotaText } from "../../protocol/maildir/quota.ts";
import { domainOf } from "../../protocol/routing/router.ts";
import type { AccountRecord } from "../../protocol/users/accounts-cdb.ts";

export interface Domain {
  readonly name: string;
  /** 0: its users only log in here. */
  readonly mail: number;
}

export interface User {
  readonly address: string;
  readonly hash: string;
  readonly scram: string;
  /** The password itself, or "". */
  readonly secret: string;
  readonly quotaOctets: number;
  readonly quotaMessages: number;
  readonly enabled: number;
  readonly lastLoginMs: number;
}

export interface AppPassword {
  readonly address: string;
  readonly name: string;
  /** SHA-256 of it, in hex: it is random, and long. */
  readonly digest: string;
  /** Words of smtp, pop3, imap, with blanks between them. */
  readonly scopes: string;
  /** 0: never. */
  readonly expiresMs: number;
  readonly lastUsedMs: number;
}

/** Domains, users, aliases and app passwords. Addresses are in lower case. All methods throw SQLite's error. */
export class AccountStore {
  readonly #database: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  close(): void {
    this.#database.close();
  }

  /** All of it or nothing, with nobody else writing meanwhile. */
  transaction<Value>(work: () => Value): Value {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const value = work();
      this.#database.exec("COMMIT");
      return value;
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  domain = (name: string): Domain | undefined => this.#one<Domain>("SELECT * FROM domain WHERE name = ?", name);
  domains = (): Domain[] => this.#all<Domain>("SELECT * FROM domain ORDER BY name");
  catchAll = (domain: string): string[] =>
    this.#all<{ target: string }>("SELECT target FROM catchall WHERE domain = ?", domain).map(({ target }) => target);
  putDomain({ name, mail }: Domain): void {
    this.#run("INSERT OR REPLACE INTO domain VALUES (?, ?)", name, mail);
  }
  setCatchAll(domain: string, targets: readonly string[]): void {
    this.#run("DELETE FROM catchall WHERE domain = ?", domain);
    for (const target of targets) this.#run("INSERT OR IGNORE INTO catchall VALUES (?, ?)", domain, target);
  }
  removeDomain(name: string): void {
    for (const { address } of this.users(name)) this.removeUser(address);
    this.#run("DELETE FROM alias WHERE domain = ?", name);
    this.#run("DELETE FROM catchall WHERE domain = ?", name);
    this.#run("DELETE FROM domain WHERE name = ?", name);
  }

  user = (address: string): User | undefined => this.#one<User>("SELECT * FROM user WHERE address = ?", address);
  users = (domain?: string): User[] =>
    domain === undefined
      ? this.#all<User>("SELECT * FROM user ORDER BY domain, address")
      : this.#all<User>("SELECT * FROM user WHERE domain = ? ORDER BY address", domain);
  putUser(user: User): void {
    const { address, hash, scram, secret, quotaOctets, quotaMessages, enabled, lastLoginMs } = user;
    const values = [address, domainOf(address), hash, scram, secret, quotaOctets, quotaMessages, enabled, lastLoginMs];
    this.#run("INSERT OR REPLACE INTO user VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", ...values);
  }
  removeUser(address: string): void {
    for (const table of ["user", "sendas", "apppassword"]) this.#run(`DELETE FROM ${table} WHERE address = ?`, address);
  }
  noteLogin(address: string, nowMs: number): void {
    this.#run("UPDATE user SET lastLoginMs = ? WHERE address = ?", nowMs, address);
  }

  /** Addresses, and domains behind an "@", that the user may send as besides its own. */
  sendAs = (address: string): string[] =>
    this.#all<{ who: string }>("SELECT who FROM sendas WHERE address = ?", address).map(({ who }) => who);
  setSendAs(address: string, who: string, may: boolean): void {
    if (may) this.#run("INSERT OR IGNORE INTO sendas VALUES (?, ?)", address, who);
    else this.#run("DELETE FROM sendas WHERE address = ? AND who = ?", address, who);
  }

  targets = (address: string): string[] =>
    this.#all<{ target: string }>("SELECT target FROM alias WHERE address = ?", address).map(({ target }) => target);
  aliases = (domain?: string): { readonly address: string; readonly target: string }[] =>
    domain === undefined
      ? this.#all("SELECT address, target FROM alias ORDER BY domain, address, target")
      : this.#all("SELECT address, target FROM alias WHERE domain = ? ORDER BY address, target", domain);
  setAlias(address: string, targets: readonly string[]): void {
    this.#run("DELETE FROM alias WHERE address = ?", address);
    const domain = domainOf(address);
    for (const target of targets) this.#run("INSERT OR IGNORE INTO alias VALUES (?, ?, ?)", address, domain, target);
  }

  appPasswords = (address: string): AppPassword[] =>
    this.#all<AppPassword>("SELECT * FROM apppassword WHERE address = ? ORDER BY name", address);
  putAppPassword({ address, name, digest, scopes, expiresMs, lastUsedMs }: AppPassword): void {
    const values = [address, name, digest, scopes, expiresMs, lastUsedMs];
    this.#run("INSERT OR REPLACE INTO apppassword VALUES (?, ?, ?, ?, ?, ?)", ...values);
  }
  removeAppPassword(address: string, name: string): void {
    this.#run("DELETE FROM apppassword WHERE address = ? AND name = ?", address, name);
  }
  noteAppPassword(address: string, name: string, nowMs: number): void {
    this.#run("UPDATE apppassword SET lastUsedMs = ? WHERE address = ? AND name = ?", nowMs, address, name);
  }

  /** Never told to anybody: what is made up for accounts that do not exist is made of it. */
  nobodyKey = (): string => this.#one<{ value: string }>("SELECT value FROM meta WHERE name = 'nobody'")?.value ?? "";

  /** What accounts.cdb is to say: of the domains whose mail comes here. */
  *records(): Generator<readonly [key: string, record: AccountRecord]> {
    for (const { name, mail } of this.domains()) {
      if (mail === 0) continue;
      yield [`@${name}`, { kind: "domain", catchAll: this.catchAll(name) }];
      for (const { address, quotaOctets: octets, quotaMessages: messages } of this.#quotas(name)) {
        const quota = octets + messages > 0 ? quotaText({ octets, messages }) : "";
        yield [address, { kind: "mailbox", quota }];
      }
      const byAddress = Map.groupBy(this.aliases(name), ({ address }) => address);
      for (const [address, rows] of byAddress) {
        yield [address, { kind: "alias", targets: rows.map(({ target }) => target) }];
      }
    }
  }

  /** One by one, without the passwords: there may be very many. */
  #quotas(domain: string): Iterable<Pick<User, "address" | "quotaOctets" | "quotaMessages">> {
    const sql = "SELECT address, quotaOctets, quotaMessages FROM user WHERE domain = ? ORDER BY address";
    return this.#prepare(sql).iterate(domain) as Iterable<Pick<User, "address" | "quotaOctets" | "quotaMessages">>;
  }

  #prepare(sql: string): StatementSync {
    const statement = this.#prepared.get(sql) ?? this.#database.prepare(sql);
    this.#prepared.set(sql, statement);
    return statement;
  }
  #run(sql: string, ...values: readonly SQLInputValue[]): void {
    this.#prepare(sql).run(...values);
  }
  #all<Row>(sql: string, ...values: readonly SQLInputValue[]): Row[] {
    return this.#prepare(sql).all(...values) as Row[];
  }
  #one<Row>(sql: string, ...values: readonly SQLInputValue[]): Row | undefined {
    return this.#prepare(sql).get(...values) as Row | undefined;
  }
}
