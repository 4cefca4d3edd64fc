import type { ImportCounts, QueueSummary } from "../../services/import/import-queue.ts";
import type { FilePlan, SitePlan } from "../../services/import/site-plan.ts";
import type { QueueScan } from "../../services/qmail-queue/read-queue.ts";
import { counted, formatDuration, formatOctets } from "./quantity.ts";
import { renderTable } from "./table.ts";

/** Files of one fate, without more to say of each, are told in one line. */
const fates: readonly (readonly [FilePlan["fate"], string])[] = [
  ["taken", "taken"],
  ["translated", "translated"],
  ["same", "here already"],
  ["kept", "not taken"],
  ["wrong", "not taken: wrong"],
  ["unknown", "not taken"],
  ["no effect", "no effect"],
  ["left", "left"],
];

/** What was found in qmail's folder, file by file, and what will differ. */
export function renderPlan({ files, notes }: SitePlan): string {
  const rows = (["control", "users", "alias"] as const).flatMap((place) =>
    fates.flatMap(([fate, words]) =>
      files
        .filter((file) => file.place === place && file.fate === fate)
        .map(({ name, why }) => [printable(`${place}/${name}`), words, printable(why)]),
    ),
  );
  const columns = [{ title: "FILE" }, { title: "" }, { title: "WHY" }];
  const table = rows.length > 0 ? renderTable(columns, rows, Number.POSITIVE_INFINITY) : "no files to take";
  return notes.length === 0 ? table : `${table}\n\n${notes.map((note) => `note: ${printable(note)}`).join("\n")}`;
}

export function renderQueueSummary(scan: QueueScan, summary: QueueSummary, nowMs: number): string {
  const { messages, leftovers } = summary;
  const lines = [
    `queue: ${counted(messages, "message")}, ${formatOctets(summary.octets)}, split into ${scan.split}${scan.splitTodo ? ", with a split todo" : ""}`,
  ];
  if (messages > 0) {
    lines.push(
      `  recipients: ${summary.recipients} still to be delivered to, ${summary.done} done, ${summary.failures} failed`,
    );
    lines.push(`  the oldest came ${formatDuration(nowMs - summary.oldestMs)} ago`);
  }
  if (summary.unrouted > 0) lines.push(`  ${summary.unrouted} not preprocessed: routed by the control files here`);
  if (summary.onlyBounce > 0) lines.push(`  ${summary.onlyBounce} with nothing left but to send the bounce`);
  if (leftovers.finished > 0) lines.push(`  ${leftovers.finished} finished, not removed yet: left`);
  if (leftovers.unfinished > 0) lines.push(`  ${leftovers.unfinished} never accepted by qmail: left`);
  if (leftovers.damaged > 0) lines.push(`  ${leftovers.damaged} damaged: left`);
  for (const damage of summary.damage) lines.push(`    ${printable(damage)}`);
  if (scan.orphans.length > 0) lines.push(`  ${counted(scan.orphans.length, "file")} of no message: left`);
  return `\n${lines.join("\n")}`;
}

export function renderImported({ files }: SitePlan, counts: ImportCounts): string {
  const written = files.filter(({ text, link }) => text !== undefined || link !== undefined).length;
  const lines = [
    `${counted(written, "file")} written`,
    `${counted(counts.queued, "message")} queued, ${counted(counts.bounced, "bounce")} made, ${counts.nothing} had nobody left`,
  ];
  if (counts.already > 0) lines.push(`${counts.already} were brought by an earlier import`);
  if (counts.damaged > 0) lines.push(`${counts.damaged} damaged ones were left`);
  lines.push("do not start qmail again: it would deliver these messages a second time");
  return lines.join("\n");
}

/** File names are other people's text. */
const printable = (text: string): string => text.replace(/[^ -~]/g, "?");
