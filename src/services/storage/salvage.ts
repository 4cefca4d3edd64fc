import { DatabaseSync } from "node:sqlite";
import { chunkId } from "./sqlite-apply.ts";
import { prepareStatements, rowOf, rowsOf, type Statements } from "./sqlite-schema.ts";
import { type Change, chunkOctets, type NewRecipient, type Storage, type StoredMessage } from "./storage.ts";

const maxRecipients = 1_000_000;

/**
 * Reads what can be read out of a damaged file and puts it into `storage`: messages whose envelope and whole body are
 * there, with the recipients they still have. They get new ids, so that nothing delivered before is taken for them.
 */
export async function salvage(file: string, storage: Storage): Promise<{ messages: number; lost: number }> {
  let messages = 0;
  let lost = 0;
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { defensive: false });
    database.exec("PRAGMA writable_schema = ON"); // else nothing is read of a file that was cut
    const s = prepareStatements(database);
    for (const id of readableIds(database)) {
      const changes = attempt(() => readMessage(s, id, storage.nextId()));
      const saved = changes && (await storage.apply(changes));
      if (saved?.kind === "done") messages++;
      else lost++;
    }
  } catch {
    lost++; // not even its tables can be found
  } finally {
    attempt(() => database?.close());
  }
  return { messages, lost };
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
  const message = rowOf<Omit<StoredMessage, "held"> & { held: number }>(s.message, id);
  if (!message) return undefined;
  const recipients = rowsOf<Omit<NewRecipient, "channel" | "claimed"> & { channel: number }>(
    s.recipients,
    id,
    -1,
    maxRecipients,
  ).map(({ number, forwardPath, channel, destination }) => ({
    number,
    forwardPath,
    channel: channel === 0 ? ("local" as const) : ("remote" as const),
    destination,
    claimed: false,
  }));
  const chunks: Uint8Array[] = [];
  for (let number = 0; number * chunkOctets < message.bodyOctets; number++) {
    const chunk = rowOf<{ octets: Uint8Array }>(s.chunk, chunkId(message.body, number));
    if (!chunk) return undefined;
    chunks.push(chunk.octets);
  }
  const body = chunks.length > 0 ? freshId : 0;
  const last = chunks.pop();
  const changes: Change[] = chunks.map((octets, number) => ({ kind: "chunk", body, number, octets }));
  const { prefix, suffix } = message;
  changes.push({
    kind: "message",
    message: { ...message, id: freshId, body, prefix, suffix },
    recipients,
    ...(last && { chunk: { number: chunks.length, octets: last } }),
  });
  if (message.held === 1) changes.push({ kind: "hold", message: freshId });
  return changes;
}

function attempt<Value>(work: () => Value): Value | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
