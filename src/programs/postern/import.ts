import { closeSync, existsSync } from "node:fs";
import { join } from "node:path";
import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import { type ImportCounts, importQueue, summarise } from "../../services/import/import-queue.ts";
import { giveQueue, importerFor, importFiles, openQueue, prepareFolders } from "../../services/import/import-site.ts";
import { planSite, type SitePlan } from "../../services/import/site-plan.ts";
import { findLayout } from "../../services/layout/find-layout.ts";
import type { Layout } from "../../services/layout/layout.ts";
import { lockQmailQueue, openQmailQueue, type QmailQueue } from "../../services/qmail-queue/read-queue.ts";
import { type Command, complain, exitDone, exitNothing, readOptions, say } from "./command.ts";
import { renderImported, renderPlan, renderQueueSummary } from "./import-text.ts";

const usage = `usage: postern import qmail DIR [--yes] [--force] [--root DIR]

Looks at an existing qmail (DIR is its folder, /var/qmail) and tells what it found, what would be taken over and what
would behave differently. With --yes it does it: control/, users/, alias/, and every message in the queue, with its age,
its remaining recipients and its bounce so far. DIR itself is never changed. Done again, it brings nothing twice.
  --force   qmail's files replace those that are here already
Exits 0, 1 when damaged messages were left behind, 100 for wrong use, 111 when qmail or Postern runs or a file cannot be
read or written.`;

export const command: Command = {
  usage,
  async run(args) {
    const options = readOptions(args, { yes: { type: "boolean" }, force: { type: "boolean" } });
    if (options.kind !== "done") return complain(options, usage);
    const { values, positionals } = options.value;
    const [what, folder, ...more] = positionals;
    if (what !== "qmail" || folder === undefined || more.length > 0) {
      return complain(permanent("5.1", "import what? `postern import qmail DIR`"), usage);
    }
    if (!existsSync(join(folder, "control")))
      return complain(permanent("5.1", `${folder} is no qmail's folder: there is no control/ in it`));
    const layout = findLayout(values.root, process.env);
    const site = planSite(folder, layout, { force: values.force ?? false });
    if (site.kind !== "done") return complain(site);
    const queue = existsSync(join(folder, "queue")) ? openQmailQueue(join(folder, "queue")) : undefined;
    if (queue && queue.kind !== "done") return complain(queue);
    const summary = queue && summarise(queue.value);
    if (summary && summary.kind !== "done") return complain(summary);
    say(renderPlan(site.value));
    say(queue && summary ? renderQueueSummary(queue.value.scan, summary.value, Date.now()) : "\nno queue");
    if (!values.yes) {
      say("\nnothing was changed; --yes does it");
      return exitDone;
    }
    const imported = await importAll(folder, layout, site.value, queue?.value);
    if (imported.kind !== "done") return complain(imported);
    say(`\n${renderImported(site.value, imported.value)}`);
    return imported.value.damaged > 0 ? exitNothing : exitDone;
  },
};

/** With both servers kept from running: files first, for they say where messages go, then message by message. */
async function importAll(
  folder: string,
  layout: Layout,
  site: SitePlan,
  queue: QmailQueue | undefined,
): Promise<Outcome<ImportCounts>> {
  const nothing: ImportCounts = { queued: 0, bounced: 0, nothing: 0, already: 0, damaged: 0 };
  const lock = queue ? lockQmailQueue(join(folder, "queue")) : done(undefined);
  if (lock.kind !== "done") return lock;
  try {
    const prepared = prepareFolders(layout);
    if (prepared.kind !== "done") return prepared;
    const storage = await openQueue(layout, Date.now());
    if (storage.kind !== "done") return storage;
    try {
      const written = await importFiles(site, layout);
      if (written.kind !== "done") return written;
      const importer = importerFor(layout, storage.value, Date.now());
      if (importer.kind !== "done") return importer;
      return queue ? await importQueue(importer.value, queue) : done(nothing);
    } finally {
      await storage.value.close();
      giveQueue(layout);
    }
  } finally {
    if (lock.value !== undefined) closeSync(lock.value);
  }
}
