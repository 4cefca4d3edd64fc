import { rowsOf, type Statements } from "./sqlite-schema.ts";
import type { Found, Wanted } from "./storage.ts";

/** Looked at in one turn of the loop: some milliseconds. The first message is, whatever it has. */
const maxMessages = 1_000;
const maxRecipients = 10_000;

/** SQLite looks itself: to bring every recipient of a great queue here would take a minute. */
export function searchNext(s: Statements, after: number, wanted: Wanted): Found {
  let recipients = 0;
  let last: number | undefined;
  for (const { id, remaining } of rowsOf<{ id: number; remaining: number }>(s.span, after, maxMessages)) {
    recipients += remaining;
    if (recipients > maxRecipients && last !== undefined) break;
    last = id;
  }
  if (last === undefined) return { ids: [], last };
  const { sender = null, recipient = null, destination = null, arrivedByMs = null } = wanted;
  const found = rowsOf<{ id: number }>(s.search, after, last, sender, recipient, destination, arrivedByMs);
  return { ids: found.map(({ id }) => id), last };
}
