import { Buffer } from "node:buffer";
import { done, type Outcome, permanent } from "../outcome.ts";
import { cdbHash, headerOctets, pairOctets, tableCount } from "./format.ts";

/** Positions have 32 bits. */
const maxCdbOctets = 2 ** 32 - 1;

interface Slot {
  readonly hash: number;
  readonly position: number;
}

/**
 * A constant database of these records, keys and data latin1, octet for octet as Bernstein's cdbmake makes it. A key
 * may come more than once: look-ups find the first. Fails, for good, beyond 4 GiB.
 */
export function writeCdb(records: Iterable<readonly [key: string, data: string]>): Outcome<Buffer> {
  const pieces: Buffer[] = [];
  const tables = Array.from({ length: tableCount }, (): Slot[] => []);
  let position = headerOctets;
  for (const [key, data] of records) {
    const record = Buffer.alloc(pairOctets + key.length + data.length);
    record.writeUInt32LE(key.length, 0);
    record.writeUInt32LE(data.length, 4);
    record.write(key + data, pairOctets, "latin1");
    pieces.push(record);
    const hash = cdbHash(key);
    tables[hash % tableCount]?.push({ hash, position });
    position += record.length;
    if (position + pieces.length * 2 * pairOctets > maxCdbOctets) return permanent("3.4", "too much for one cdb");
  }
  const header = Buffer.alloc(headerOctets);
  for (const [n, entries] of tables.entries()) {
    const slots = tableOf(entries);
    header.writeUInt32LE(position, n * pairOctets);
    header.writeUInt32LE(slots.length / pairOctets, n * pairOctets + 4);
    pieces.push(slots);
    position += slots.length;
  }
  return done(Buffer.concat([header, ...pieces]));
}

/** Twice as many slots as entries: a search soon meets an empty one. */
function tableOf(entries: readonly Slot[]): Buffer {
  const count = entries.length * 2;
  const table = Buffer.alloc(count * pairOctets);
  for (const { hash, position } of entries) {
    let slot = Math.floor(hash / tableCount) % count;
    while (table.readUInt32LE(slot * pairOctets + 4) !== 0) slot = (slot + 1) % count;
    table.writeUInt32LE(hash, slot * pairOctets);
    table.writeUInt32LE(position, slot * pairOctets + 4);
  }
  return table;
}
