import { mkdirSync, type Stats, statSync } from "node:fs";
import { errorWords } from "../../protocol/dot-qmail/error-words.ts";
import { done, type Failure, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { isFolderName, isTag, type NameSplit, nameSplits } from "../../protocol/users/account-names.ts";
import { homeGiven, homeMade, homeOfNobody, homeOwned } from "../../protocol/wire/worker.ts";
import { errorCode, pathOf } from "../../services/maildir/file.ts";
import { type FileStat, nodeFiles } from "../../services/maildir/files.ts";
import { findDotQmail } from "./dot-qmail-file.ts";
import type { Task } from "./task.ts";

/** Where a delivery takes place, and which .qmail file in it counts. */
export interface Home {
  readonly path: string;
  readonly dash: string;
  readonly extension: string;
  /** The extension is a mere tag: without a .qmail file for it the mail is for the name alone. */
  readonly isTagged?: boolean;
  /** Whether the default delivery makes its Maildir: in virtual mailboxes. */
  readonly makesMaildir: boolean;
  /** No .qmail file counts. */
  readonly isNobodys?: boolean;
  /** The folder as it was found; absent where it was not looked at. */
  readonly stat?: FileStat;
}

export const noMailbox = permanent("1.1", "Sorry, no mailbox here by that name. (#5.1.1)");
const otherWritable = 0o002;
const sticky = 0o1000;

/** What of a delivery says where it takes place. */
export type Address = Pick<Task, "home" | "homeKind" | "local" | "dash" | "extension">;
interface Found extends Home {
  /** False where it would be made first. */
  readonly isThere: boolean;
}

/** Finds the home of a delivery, makes it if that was asked for, and checks that it is fit to be used. */
export function openHome(task: Address): Outcome<Home> {
  const found = findHome(task);
  if (found.kind !== "done" || found.value.isThere) return found;
  try {
    mkdirSync(found.value.path, { recursive: true, mode: 0o700 });
    return found;
  } catch (error) {
    return cannotSwitch(task, error);
  }
}

/** As `openHome`, and makes nothing. */
export function findHome(task: Address): Outcome<Found> {
  try {
    if (task.homeKind === homeOwned) return findOwned(task);
    if (task.homeKind === homeOfNobody) {
      return done({
        path: pathOf(task.home),
        dash: "",
        extension: "",
        makesMaildir: false,
        isThere: true,
        isNobodys: true,
      });
    }
    if (task.homeKind !== homeGiven) return findMailbox(task);
    const path = pathOf(task.home);
    const stat = statSync(path);
    const unfit = unfitness(stat);
    return (
      unfit ?? done({ path, dash: task.dash, extension: task.extension, makesMaildir: false, isThere: true, stat })
    );
  } catch (error) {
    return cannotSwitch(task, error);
  }
}

const cannotSwitch = ({ home }: Address, error: unknown): Failure =>
  temporary("3.0", `Unable to switch to ${home}: ${errorWords(errorCode(error))}. (#4.3.0)`);

function findOwned({ home, dash, extension }: Address): Outcome<Found> {
  const path = pathOf(home);
  const stat = statSync(path, { throwIfNoEntry: false });
  const unfit = stat && unfitness(stat);
  if (unfit) return unfit;
  if (!stat && dash === "-") return noMailbox;
  const found = { path, ...extensionOf({ dash, extension }), makesMaildir: true };
  return done(stat ? { ...found, isThere: true, stat } : { ...found, isThere: false });
}

/** Behind whatever it came, a .qmail file has it behind "-". */
const extensionOf = (split: Pick<NameSplit, "dash" | "extension">) => ({
  dash: split.dash && "-",
  extension: split.extension,
  isTagged: isTag(split),
});

/** qmail's user lookup among the folders of a domain: the whole local part, else the longest name that exists. */
function findMailbox(task: Address): Outcome<Found> {
  const makes = task.homeKind === homeMade;
  const below = (split: NameSplit): string => `${pathOf(task.home)}/${pathOf(split.name)}`;
  const splits = nameSplits(task.local, task.dash).filter(
    (split) => isFolderName(split.name) && !below(split).includes("\ufffd"),
  );
  for (const split of splits) {
    const path = below(split);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat?.isDirectory()) continue;
    const unfit = unfitness(stat);
    if (unfit) return unfit;
    const home = { path, ...extensionOf(split), makesMaildir: true, isThere: true, stat };
    if (split.dash !== "-" || !makes) return done(home);
    const file = findDotQmail(nodeFiles, home);
    if (file.kind !== "done") return file;
    if (file.value) return done(home);
    break;
  }
  const [whole] = splits;
  if (makes && whole?.dash === "") {
    return done({ path: below(whole), dash: "", extension: "", makesMaildir: true, isThere: false });
  }
  statSync(pathOf(task.home)); // a domain's folder that is not there is an accident, not an answer
  return noMailbox;
}

function unfitness(stat: Stats): Outcome<never> | undefined {
  if (stat.mode & otherWritable) return temporary("7.0", "Uh-oh: home directory is writable. (#4.7.0)");
  if (stat.mode & sticky)
    return temporary("2.1", "Home directory is sticky: user is editing his .qmail file. (#4.2.1)");
  return undefined;
}
