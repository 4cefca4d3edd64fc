import { DatabaseSync } from "node:sqlite";
import { type ListedRecipientRow, type MessageRow, stored } from "./sqlite.ts";
import { channelName, chunkId } from "./sqlite-apply.ts";
import { prepareStatements, rowOf, rowsOf, type Statements, wishTables } from "./sqlite-schema.ts";
import { dsnOf } from "./sqlite-wishes.ts";
import { type Change, chunkOctets, type Storage } from "./storage.ts";

const maxRecipients = 1_000_000;

/**
 * Reads what can be read out of a damaged file and puts it into `storage`: messages whose envelope and whole body are
 * there, with the recipients they still have. They get new ids, so that nothing delivered before is taken for them.
 * Where what was asked for cannot be read, or the file is too old to have it, the mail is worth more than the wishes.
 */
export async function salvage(file: string, storage: Storage): Promise<{ messages: number; lost: number }> {
  let messages = 0;
  let lost = 0;
  let database: DatabaseSync | undefined;
  let bare: DatabaseSync | undefined;
  try {
    database = openDamaged(file);
    bare = openDamaged(file);
    bare.exec(wishTables("CREATE TABLE temp"));
    const whole = attempt(() => prepareStatements(database as DatabaseSync));
    const s = prepareStatements(bare);
    for (const id of readableIds(database)) {
      const freshId = storage.nextId();
      const changes =
        (whole && attempt(() => readMessage(whole, id, freshId))) ?? attempt(() => readMessage(s, id, freshId));
      const saved = changes && (await storage.apply(changes));
      if (saved?.kind === "done") messages++;
      else lost++;
    }
  } catch {
    lost++; // not even its tables can be found
  } finally {
    attempt(() => database?.close());
    attempt(() => bare?.close());
  }
  return { messages, lost };
}

function openDamaged(file: string): DatabaseSync {
  const database = new DatabaseSync(file, { defensive: false });
  database.exec("PRAGMA writable_schema = ON"); // else nothing is read of a file that was cut
  return database;
}

/** From both ends, as far as the table can be followed. */
function readableIds(database: DatabaseSync): readonly number[] {
  const ids = new Set<number>();
  for (const order of ["ASC", "DESC"]) {
    attempt(() => {
      for (const row of database.prepare(`SELECT id FROM message ORDER BY id ${order}`).iterate()) {
        ids.add(Number(row.id));
      }
    });
  }
  return [...ids].sort((a, b) => a - b);
}

function readMessage(s: Statements, id: number, freshId: number): readonly Change[] | undefined {
  const row = rowOf<MessageRow>(s.message, id);
  if (!row) return undefined;
  const message = stored(row);
  const rows = rowsOf<ListedRecipientRow>(s.recipients, id, -1, maxRecipients);
  const recipients = rows.map((row) => {
    const { number, forwardPath, channel, destination } = row;
    return { number, forwardPath, channel: channelName(channel), destination, claimed: false, ...dsnOf(row) };
  });
  const chunks: Uint8Array[] = [];
  for (let number = 0; number * chunkOctets < message.bodyOctets; number++) {
    const chunk = rowOf<{ octets: Uint8Array }>(s.chunk, chunkId(message.body, number));
    if (!chunk) return undefined;
    chunks.push(chunk.octets);
  }
  const body = chunks.length > 0 ? freshId : 0;
  const last = chunks.pop();
  const changes: Change[] = chunks.map((octets, number) => ({ kind: "chunk", body, number, octets }));
  changes.push({
    kind: "message",
    message: { ...message, id: freshId, body },
    recipients,
    ...(last && { chunk: { number: chunks.length, octets: last } }),
  });
  if (message.held) changes.push({ kind: "hold", message: freshId });
  if (message.warned) changes.push({ kind: "warned", message: freshId });
  return changes;
}

function attempt<Value>(work: () => Value): Value | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
