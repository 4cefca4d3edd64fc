/** What crashes leave behind: it must be of the kinds that vanish without anybody's help. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { embeddedLayout } from "../../src/services/layout/layout.ts";

/** A mailbox's own, and the lock of a worker that was killed, which the next one takes. */
const known = new Set(["Maildir", "mbox", "mbox.lock", ".qmail"]);
/** Settings of the store and its memory of destinations, which stay. */
const lasting = new Set(["meta", "destination"]);

/**
 * Looks at a server that has delivered everything and was stopped: one line for each thing that no later delivery or
 * start would remove. Marks and unfinished files are removed when they are old: those of names that `deliver` knows.
 */
export function findLeftovers(root: string): readonly string[] {
  const layout = embeddedLayout(root);
  const found = inQueue(layout.queue);
  const domain = join(layout.mail, "localhost");
  for (const home of existsSync(domain) ? readdirSync(domain) : []) {
    const foreign = [
      ...namesIn(join(domain, home)).filter((name) => !known.has(name) && !/^\.postern-.*\.q$/.test(name)),
      ...namesIn(join(domain, home, "Maildir/tmp")).filter((name) => name.startsWith(".")),
    ];
    found.push(...foreign.map((name) => `${name} in the home of ${home} stays for ever`));
  }
  return found;
}

const namesIn = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);

function inQueue(folder: string): string[] {
  const damaged = readdirSync(folder).filter((name) => name.includes("corrupt"));
  const database = new DatabaseSync(join(folder, "queue.sqlite"), { readOnly: true });
  const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
  const left = tables.flatMap(({ name }) => {
    const { n } = database.prepare(`SELECT count(*) AS n FROM "${name}"`).get() ?? {};
    return lasting.has(String(name)) || n === 0 ? [] : [`the empty queue has ${n} rows of ${name}`];
  });
  database.close();
  return [...damaged.map((name) => `the queue was found damaged: ${name}`), ...left];
}
