import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";

/** Those that a file made by an earlier version does not have. */
export const wishTables = (create: string): string => `
  ${create}.options (
    message INTEGER PRIMARY KEY, envelope_id TEXT, ret INTEGER, flags INTEGER, priority INTEGER, hold_until INTEGER,
    warned INTEGER);
  ${create}.dsn (
    message INTEGER, number INTEGER, notify INTEGER, original_recipient TEXT,
    PRIMARY KEY (message, number)) WITHOUT ROWID;
`;

/**
 * `chunk.id` is body * 65536 + number. `recipient.due` is the moment it may be claimed; NULL while it is claimed or held,
 * so that mail which goes straight through never touches the index. `destination` has a row for each destination with
 * something due, and for blocked ones: what is due now is a range read, however much waits. `recipient.arrived` is when
 * it began to age. `options` and `dsn` have rows only for what something was asked for, or was told to be late.
 */
const schema = `
  CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY, arrived INTEGER, reverse_path TEXT, body_kind INTEGER, uid INTEGER, held INTEGER,
    remaining INTEGER, body INTEGER, body_octets INTEGER, octets INTEGER, prefix BLOB, suffix BLOB);
  CREATE INDEX IF NOT EXISTS sharing ON message (body) WHERE body <> id;
  CREATE TABLE IF NOT EXISTS chunk (id INTEGER PRIMARY KEY, octets BLOB);
  CREATE TABLE IF NOT EXISTS incoming (body INTEGER PRIMARY KEY);
  CREATE TABLE IF NOT EXISTS recipient (
    message INTEGER, number INTEGER, forward_path TEXT, channel INTEGER, destination TEXT, arrived INTEGER,
    attempts INTEGER, next_attempt INTEGER, due INTEGER, last_reply TEXT,
    PRIMARY KEY (message, number)) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS waiting ON recipient (channel, destination, due, arrived) WHERE due IS NOT NULL;
  CREATE TABLE IF NOT EXISTS destination (
    channel INTEGER, name TEXT, due INTEGER, blocked INTEGER, PRIMARY KEY (channel, name)) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS destination_due ON destination (channel, due);
  CREATE TABLE IF NOT EXISTS failure (
    message INTEGER, sequence INTEGER, number INTEGER, forward_path TEXT, status TEXT, text TEXT,
    PRIMARY KEY (message, sequence)) WITHOUT ROWID;
${wishTables("CREATE TABLE IF NOT EXISTS main")}
`;

/** The log is brought into the file once in so many pages (16 MiB). */
export const checkpointPages = 4_096;

/**
 * Exclusive: a second queue on the same file is refused, and no shared memory file is needed. The log is reused, not
 * cut. The cache is what the queue may take of memory beside its window.
 */
const pragmas = `
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA page_size = 4096;
  PRAGMA auto_vacuum = NONE;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA wal_autocheckpoint = ${checkpointPages};
  PRAGMA cache_size = -12000;
  PRAGMA temp_store = MEMORY;
  PRAGMA foreign_keys = OFF;
`;

export const prepareSchema = (database: DatabaseSync): void => {
  database.exec(pragmas);
  database.exec(schema);
};

/**
 * After a start nothing is claimed, and each destination is due with its first recipient. Goes once through the
 * recipients.
 */
export const forgetClaims = `
  BEGIN IMMEDIATE;
  UPDATE recipient SET due = next_attempt WHERE due IS NULL
    AND message NOT IN (SELECT id FROM message WHERE held = 1);
  DELETE FROM destination;
  INSERT INTO destination SELECT channel, destination, min(due), 0 FROM recipient
    WHERE due IS NOT NULL GROUP BY channel, destination;
  COMMIT;
`;

const dsnColumns = "d.notify, d.original_recipient AS originalRecipient";
const recipientColumns = `r.message, r.number, r.forward_path AS forwardPath, r.destination, r.arrived, r.attempts, ${dsnColumns}`;
const withDsn = "LEFT JOIN dsn d ON d.message = r.message AND d.number = r.number";
const listedColumns = `r.number, r.forward_path AS forwardPath, r.channel, r.destination, r.attempts, r.next_attempt AS nextAttemptMs, r.last_reply AS lastReply, ${dsnColumns}`;
const optionColumns = "o.envelope_id AS envelopeId, o.ret, o.flags, o.priority, o.hold_until AS holdUntilMs";
const messageColumns = `id, arrived AS arrivedMs, reverse_path AS reversePath, body_kind AS bodyKind, uid, prefix, body, body_octets AS bodyOctets, suffix, held, remaining, EXISTS (SELECT 1 FROM failure WHERE failure.message = id) AS failed, o.warned, ${optionColumns}`;
const dueUnlessHeld = "CASE WHEN (SELECT held FROM message WHERE id = message) THEN NULL ELSE ?1 END";

/** It was never tried, nor claimed, and is not to be before some time after ?1. */
const isHeldUntilLater = `(attempts = 0 AND EXISTS (SELECT 1 FROM options h WHERE h.message = recipient.message
  AND h.hold_until > ?1 AND (due IS NOT NULL OR (SELECT held FROM message WHERE id = recipient.message))))`;

/** From ?1 for as long as it was to wait when it came; it ages from the end of that on. */
const waitAnew = "(?1 + arrived - (SELECT m.arrived FROM message m WHERE m.id = recipient.message))";

/** Also true for what `end` is all of. */
const endsWith = (column: string, end: string): string => `substr(${column}, -length(${end})) = ${end} COLLATE NOCASE`;

const texts = {
  begin: "BEGIN IMMEDIATE",
  commit: "COMMIT",
  rollback: "ROLLBACK",
  meta: "SELECT value FROM meta WHERE name = ?",
  setMeta: "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",

  addChunk: "INSERT OR REPLACE INTO chunk VALUES (?, ?)",
  dropChunks: "DELETE FROM chunk WHERE id BETWEEN ? AND ?",
  addIncoming: "INSERT OR IGNORE INTO incoming VALUES (?)",
  incoming: "SELECT body FROM incoming",
  dropIncoming: "DELETE FROM incoming WHERE body = ?",

  addMessage: "INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?)",
  addRecipient: "INSERT OR REPLACE INTO recipient VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, '')",
  addOptions: "INSERT OR REPLACE INTO options VALUES (?, ?, ?, ?, ?, ?, 0)",
  addDsn: "INSERT OR REPLACE INTO dsn VALUES (?, ?, ?, ?)",
  warned: `INSERT INTO options (message, warned) SELECT id, 1 FROM message WHERE id = ?
    ON CONFLICT DO UPDATE SET warned = 1`,
  touchDestination:
    "INSERT INTO destination VALUES (?, ?, ?, 0) ON CONFLICT DO UPDATE SET due = max(blocked, min(due, excluded.due))",

  dropRecipient: "DELETE FROM recipient WHERE message = ? AND number = ?",
  oneLess: "UPDATE message SET remaining = remaining - 1 WHERE id = ?",
  defer: `UPDATE recipient SET due = ${dueUnlessHeld}, next_attempt = ?1, attempts = ?2, last_reply = ?3
    WHERE message = ?4 AND number = ?5 RETURNING channel, destination, due`,
  unclaim: `UPDATE recipient SET due = CASE WHEN (SELECT held FROM message WHERE id = message) THEN NULL
    ELSE next_attempt END WHERE message = ? AND number = ? AND due IS NULL RETURNING channel, destination, due`,
  addFailure: `INSERT INTO failure SELECT ?1, coalesce(max(sequence), 0) + 1, ?2, ?3, ?4, ?5 FROM failure
    WHERE message = ?1`,

  dropRecipients: "DELETE FROM recipient WHERE message = ?",
  dropFailures: "DELETE FROM failure WHERE message = ?",
  dropMessage: `DELETE FROM message WHERE id = ? RETURNING body,
    EXISTS (SELECT 1 FROM options WHERE options.message = id) AS asked`,
  dropOptions: "DELETE FROM options WHERE message = ?",
  dropDsn: "DELETE FROM dsn WHERE message = ?",
  isOwned: "SELECT 1 FROM message WHERE id = ? AND body = id",
  isShared: "SELECT 1 FROM message WHERE body = ? AND body <> id LIMIT 1",

  hold: "UPDATE message SET held = 1 WHERE id = ?",
  holdRecipients: "UPDATE recipient SET due = NULL WHERE message = ?",
  release: "UPDATE message SET held = 0 WHERE id = ? AND held = 1",
  unclaimedOf: "SELECT number FROM recipient WHERE message = ? AND due IS NULL",
  retry: `UPDATE recipient SET due = min(due, ?1), next_attempt = min(next_attempt, ?1) WHERE message = ?2 AND due IS NOT NULL
    AND NOT ${isHeldUntilLater}
    RETURNING channel, destination, due`,
  block: "INSERT INTO destination VALUES (?1, ?2, ?3, ?3) ON CONFLICT DO UPDATE SET due = max(?3, due), blocked = ?3",
  open: "UPDATE destination SET due = min(due, ?3), blocked = 0 WHERE channel = ?1 AND name = ?2",
  clamp: `UPDATE recipient SET next_attempt = ?2, due = CASE WHEN due IS NULL THEN NULL ELSE ?2 END
    WHERE next_attempt > ?2 AND NOT ${isHeldUntilLater}`,
  clampHolds: `UPDATE recipient SET next_attempt = ${waitAnew}, due = CASE WHEN due IS NULL THEN NULL ELSE ${waitAnew} END
    WHERE message IN (SELECT o.message FROM options o JOIN message m ON m.id = o.message
      WHERE o.hold_until > ?1 AND m.arrived > ?1) AND next_attempt > ${waitAnew} AND ${isHeldUntilLater}
    RETURNING channel, destination, due`,
  clampDestinations: "UPDATE destination SET due = min(due, ?1), blocked = min(blocked, ?1) WHERE due > ?1",

  dueDestinations: "SELECT name FROM destination WHERE channel = ? AND due <= ? ORDER BY due LIMIT ?",
  dueRecipients: `SELECT ${recipientColumns} FROM recipient r ${withDsn}
    WHERE channel = ? AND destination = ? AND due <= ? ORDER BY due LIMIT ?`,
  overdueRecipients: `SELECT ${recipientColumns} FROM recipient r ${withDsn}
    WHERE channel = ? AND destination = ? AND due <= ? AND arrived < ? ORDER BY due LIMIT ?`,
  claim: "UPDATE recipient SET due = NULL WHERE message = ? AND number = ?",
  firstDue: "SELECT min(due) AS due FROM recipient WHERE channel = ? AND destination = ? AND due IS NOT NULL",
  setDestination: "UPDATE destination SET due = ?3, blocked = 0 WHERE channel = ?1 AND name = ?2",
  postpone: "UPDATE destination SET due = max(due, ?3) WHERE channel = ?1 AND name = ?2",
  dropDestination: "DELETE FROM destination WHERE channel = ? AND name = ?",
  nextDue: "SELECT min(due) AS due FROM destination WHERE channel = ?",

  message: `SELECT ${messageColumns} FROM message LEFT JOIN options o ON o.message = id WHERE id = ?`,
  chunk: "SELECT octets FROM chunk WHERE id = ?",
  failures: `SELECT sequence, r.number, forward_path AS forwardPath, status, text, ${dsnColumns} FROM failure r ${withDsn}
    WHERE r.message = ? AND sequence > ? ORDER BY sequence LIMIT ?`,
  list: `SELECT m.id, m.arrived AS arrivedMs, m.octets, m.reverse_path AS reversePath, m.uid, m.held,
    m.remaining AS recipientCount, ${optionColumns}, ${listedColumns}
    FROM (SELECT * FROM message WHERE id > ?1 ORDER BY id LIMIT ?2) m
    LEFT JOIN options o ON o.message = m.id
    LEFT JOIN recipient r ON r.message = m.id AND (m.remaining <= ?3 OR r.number IN
      (SELECT number FROM recipient WHERE message = m.id ORDER BY number LIMIT ?3))
    ${withDsn}
    ORDER BY m.id, r.number`,
  span: "SELECT id, remaining FROM message WHERE id > ? ORDER BY id LIMIT ?",
  search: `SELECT id FROM message WHERE id > ?1 AND id <= ?2
    AND (?6 IS NULL OR arrived <= ?6) AND (?3 IS NULL OR ${endsWith("reverse_path", "?3")})
    AND (?4 IS NULL AND ?5 IS NULL OR EXISTS (SELECT 1 FROM recipient WHERE message = id
      AND (?4 IS NULL OR ${endsWith("forward_path", "?4")})
      AND (?5 IS NULL OR destination = ?5 COLLATE NOCASE OR ${endsWith("forward_path", "('@' || ?5)")})))
    ORDER BY id`,
  recipients: `SELECT ${listedColumns} FROM recipient r ${withDsn}
    WHERE r.message = ? AND r.number > ? ORDER BY r.number LIMIT ?`,
  blocked:
    "SELECT channel, name AS destination, blocked AS untilMs FROM destination WHERE blocked > ? ORDER BY blocked DESC LIMIT ?",
  freePages: "SELECT freelist_count AS pages FROM pragma_freelist_count",
  counts:
    "SELECT count(*) AS messages, coalesce(sum(remaining), 0) AS recipients, coalesce(sum(held), 0) AS held FROM message",
} as const;

export type Statements = Readonly<Record<keyof typeof texts, StatementSync>>;

export function prepareStatements(database: DatabaseSync): Statements {
  const prepared = Object.entries(texts).map(([name, text]) => [name, database.prepare(text)]);
  const statements = Object.fromEntries(prepared) as Statements;
  statements.list.setReturnArrays(true);
  return statements;
}

/** The rows of a statement, whose columns its text names. */
export const rowsOf = <Row>(statement: StatementSync, ...values: SQLInputValue[]): readonly Row[] =>
  statement.all(...values) as unknown as Row[];
export const rowOf = <Row>(statement: StatementSync, ...values: SQLInputValue[]): Row | undefined =>
  statement.get(...values) as Row | undefined;
