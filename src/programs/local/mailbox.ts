import { stat } from "node:fs/promises";
import { join } from "node:path";
import { splitAddress } from "../../protocol/address.ts";
import { done, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { isFolderName, nameSplits } from "../../protocol/users/account-names.ts";
import { homeBelow, homeMade, homeOfNobody } from "../../protocol/wire/worker.ts";
import type { Routed } from "../../services/directory/route.ts";
import { errorCode, pathOf } from "../../services/maildir/file.ts";

/** A mailbox that can be opened, and by whom. */
export interface Mailbox {
  readonly uid: number;
  readonly gid: number;
  /** A Maildir that is there; "" when no message has come yet. */
  readonly folder: string;
  /** Its inode: a process may open that folder, and not another that is in its place later. */
  readonly inode: number;
}

/** Where the mail of an address lies; its Maildir may not be there yet. */
export interface Place extends Omit<Mailbox, "inode"> {
  readonly home: string;
  /** In the form of `maildirsize`, "" for none. */
  readonly quota: string;
}

/**
 * Where the mail of an address lies, by the way it would go. Fails for good when the address is somebody's extension, an
 * alias, or nobody's: those have no mailbox. `maildir` is where users have theirs, from their home.
 */
export function placeOf(address: string, routed: Routed, maildir: string): Outcome<Place> {
  if (routed.kind !== "done") return routed.kind === "permanent" ? noMailbox : routed;
  const route = routed.value;
  if (!route || route.homeKind === homeOfNobody) return noMailbox;
  const isToBeFound = route.homeKind === homeBelow || route.homeKind === homeMade;
  if (route.extension !== "" || (route.dash !== "" && !isToBeFound)) return noMailbox;
  const { uid, gid } = route.confinement;
  let home = pathOf(route.home);
  if (isToBeFound) {
    const [whole] = nameSplits(splitAddress(address).localPart, "");
    if (!whole || !isFolderName(whole.name)) return noMailbox;
    home = join(home, pathOf(whole.name));
  }
  const below = route.lines === undefined ? maildir : maildirOf(route.lines.split("\n"));
  return done({ uid, gid, home, folder: join(home, below).replace(/\/$/, ""), quota: route.quota ?? "" });
}

/** As `placeOf`, of a mailbox that is to be opened. */
export async function findMailbox(address: string, routed: Routed, maildir: string): Promise<Outcome<Mailbox>> {
  const place = placeOf(address, routed, maildir);
  if (place.kind !== "done") return place;
  const { uid, gid, folder } = place.value;
  try {
    const found = await stat(folder);
    return done({ uid, gid, ...(found.isDirectory() ? { folder, inode: found.ino } : noFolder) });
  } catch (error) {
    if (errorCode(error) === "ENOENT") return done({ uid, gid, ...noFolder });
    return temporary("2.0", "the mailbox cannot be opened now");
  }
}

const noFolder = { folder: "", inode: 0 };
const noMailbox = permanent("1.1", "this address has no mailbox of its own");

/** The first Maildir that the default delivery names below a home. */
export const maildirOf = (defaultDelivery: readonly string[]): string =>
  defaultDelivery.find((line) => /^\.\/.+\/$/.test(line) && !line.split("/").includes("..")) ?? "./Maildir/";
