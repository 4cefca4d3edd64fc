import { resolve } from "node:path";
import { type Instruction, parseDotQmail } from "../../protocol/dot-qmail/lines.ts";
import { parseQuota } from "../../protocol/maildir/quota.ts";
import { cannotTell, doesNotExist, exists, overQuotaForGood, overQuotaForNow } from "../../protocol/wire/directory.ts";
import type { probe } from "../../protocol/wire/worker.ts";
import { pathOf } from "../../services/maildir/file.ts";
import { findHome } from "./home.ts";
import type { Store } from "./stores.ts";

type Probe = NonNullable<ReturnType<typeof probe.decode>>;

/** The shortest of messages finds no room in a full Maildir. */
const leastOctets = 1;

/**
 * Whether a delivery would find a mailbox, and room in it, looked for as a delivery does; one of the answers of
 * directory.ts. What goes to a program is there: whether that refuses it shows later, as it would without us.
 */
export function probeMailbox(asked: Probe, store: Store): number {
  const home = findHome(asked);
  if (home.kind !== "done") return home.kind === "permanent" ? doesNotExist : cannotTell;
  if (!home.value.isThere) return exists;
  const { path, dash, isTagged, isNobodys } = home.value;
  if (isNobodys) return exists;
  const found = store.findDotQmail(home.value);
  if (found.kind !== "done") return cannotTell;
  const file = found.value;
  if (!file && dash !== "" && !isTagged) return doesNotExist;
  const isDefault = !file || file.text === "";
  const instructions = parseDotQmail(isDefault ? asked.defaultDelivery : file.text, !isDefault && file.forwardOnly);
  if (instructions.some(({ kind }) => kind === "program")) return exists;
  const quota = isDefault ? parseQuota(asked.quota) : undefined;
  const isFull = (instruction: Instruction): boolean =>
    instruction.kind === "maildir" &&
    store.room(resolve(path, pathOf(instruction.path)), leastOctets, store.ground.nowMs(), quota) === "full";
  if (!instructions.some(isFull)) return exists;
  return asked.fullIsPermanent === 1 ? overQuotaForGood : overQuotaForNow;
}
