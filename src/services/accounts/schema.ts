import { randomBytes } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";

/**
 * Everything is octets in latin1 text. `domain.mail` 0: its users only log in, their mail goes where it went before.
 * `user.secret` is a password as it is, only where control/keeppasswords has it kept.
 */
const schema = `
CREATE TABLE domain (name TEXT PRIMARY KEY, mail INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE catchall (domain TEXT NOT NULL, target TEXT NOT NULL, PRIMARY KEY (domain, target)) STRICT, WITHOUT ROWID;
CREATE TABLE user (
  address TEXT PRIMARY KEY, domain TEXT NOT NULL, hash TEXT NOT NULL, scram TEXT NOT NULL, secret TEXT NOT NULL,
  quotaOctets INTEGER NOT NULL, quotaMessages INTEGER NOT NULL, enabled INTEGER NOT NULL, lastLoginMs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX userByDomain ON user (domain);
CREATE TABLE sendas (address TEXT NOT NULL, who TEXT NOT NULL, PRIMARY KEY (address, who)) STRICT, WITHOUT ROWID;
CREATE TABLE alias (
  address TEXT NOT NULL, domain TEXT NOT NULL, target TEXT NOT NULL, PRIMARY KEY (address, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX aliasByDomain ON alias (domain);
CREATE INDEX aliasByTarget ON alias (target);
CREATE TABLE apppassword (
  address TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, scopes TEXT NOT NULL,
  expiresMs INTEGER NOT NULL, lastUsedMs INTEGER NOT NULL, PRIMARY KEY (address, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
`;
const schemaVersion = 1;

/** Makes the tables of a fresh file. Throws SQLite's error, and when a later version of ours made the file. */
export function prepareAccounts(database: DatabaseSync, busyMs: number): void {
  database.exec(`PRAGMA busy_timeout = ${busyMs}`);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF");
  if (versionOf(database) === schemaVersion) return;
  database.exec("BEGIN IMMEDIATE");
  try {
    const version = versionOf(database);
    if (version > schemaVersion) throw new RangeError(`the accounts were made by a later Postern (form ${version})`);
    if (version === 0) {
      database.exec(schema);
      const key = randomBytes(32).toString("hex");
      database.prepare("INSERT INTO meta VALUES ('nobody', ?)").run(key);
      database.exec(`PRAGMA user_version = ${schemaVersion}`);
    }
    database.exec("COMMIT");
  } catch (error) {
    database.exec("ROLLBACK");
    throw error;
  }
}

const versionOf = (database: DatabaseSync): number =>
  Number(database.prepare("PRAGMA user_version").get()?.user_version ?? 0);
