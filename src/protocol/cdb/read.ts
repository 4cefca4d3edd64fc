import type { Buffer } from "node:buffer";
import { done, type Outcome, temporary } from "../outcome.ts";
import { cdbHash, headerOctets, pairOctets, tableCount } from "./format.ts";

const damaged = temporary("3.5", "not a cdb, or damaged");

/**
 * All records of a constant database, by key; of several with one key the first, which is what a look-up finds. Fails,
 * for now, unless the whole file is consistent: as many slots as records, each with the place and hash of one, twice as
 * many slots in each table. A file that was cut short or written over in place is none.
 */
export function readCdb(file: Buffer): Outcome<ReadonlyMap<string, string>> {
  if (file.length < headerOctets) return damaged;
  const tables = Array.from({ length: tableCount }, (_, n) => ({
    at: file.readUInt32LE(n * pairOctets),
    slots: file.readUInt32LE(n * pairOctets + 4),
  }));
  const used = tables.filter(({ slots }) => slots > 0);
  if (used.some(({ at, slots }) => at < headerOctets || at + slots * pairOctets > file.length)) return damaged;
  const end = used.reduce((least, { at }) => Math.min(least, at), used.length > 0 ? file.length : headerOctets);
  const records = new Map<string, string>();
  const hashes = new Map<number, number>();
  let at = headerOctets;
  while (at < end) {
    const record = recordAt(file, at, end);
    if (!record) return damaged;
    if (!records.has(record.key)) records.set(record.key, record.data);
    hashes.set(at, cdbHash(record.key));
    at = record.end;
  }
  let filled = 0;
  let slots = 0;
  for (const [n, table] of tables.entries()) {
    slots += table.slots;
    if (slots > file.length / pairOctets) return damaged; // tables that overlap would be read over and over
    let entries = 0;
    for (let slot = 0; slot < table.slots; slot++) {
      const position = file.readUInt32LE(table.at + slot * pairOctets + 4);
      if (position === 0) continue;
      const hash = hashes.get(position);
      if (hash === undefined || hash % tableCount !== n) return damaged;
      if (hash !== file.readUInt32LE(table.at + slot * pairOctets)) return damaged;
      entries++;
    }
    if (table.slots !== entries * 2) return damaged;
    filled += entries;
  }
  return filled === hashes.size ? done(records) : damaged;
}

/**
 * The first record of a key, or `undefined` when there is none. Reads only what it needs, in at most as many steps as
 * the key's table has slots; fails, for now, when that leads outside the file.
 */
export function findInCdb(file: Buffer, key: string): Outcome<string | undefined> {
  if (file.length < headerOctets) return damaged;
  const hash = cdbHash(key);
  const pair = (hash % tableCount) * pairOctets;
  const table = file.readUInt32LE(pair);
  const slots = file.readUInt32LE(pair + 4);
  if (slots === 0) return done(undefined);
  if (table + slots * pairOctets > file.length) return damaged;
  const first = Math.floor(hash / tableCount) % slots;
  for (let step = 0; step < slots; step++) {
    const slot = table + ((first + step) % slots) * pairOctets;
    const position = file.readUInt32LE(slot + 4);
    if (position === 0) return done(undefined);
    if (file.readUInt32LE(slot) !== hash) continue;
    const record = recordAt(file, position, file.length);
    if (!record) return damaged;
    if (record.key === key) return done(record.data);
  }
  return done(undefined);
}

function recordAt(
  file: Buffer,
  at: number,
  most: number,
): { readonly key: string; readonly data: string; readonly end: number } | undefined {
  const keyAt = at + pairOctets;
  if (keyAt > most) return undefined;
  const dataAt = keyAt + file.readUInt32LE(at);
  const end = dataAt + file.readUInt32LE(at + 4);
  if (end > most) return undefined;
  return { key: file.toString("latin1", keyAt, dataAt), data: file.toString("latin1", dataAt, end), end };
}
