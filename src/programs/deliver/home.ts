import { mkdirSync, type Stats, statSync } from "node:fs";
import { errorWords } from "../../protocol/dot-qmail/error-words.ts";
import { done, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { isFolderName, type NameSplit, nameSplits } from "../../protocol/users/account-names.ts";
import { homeGiven, homeMade } from "../../protocol/wire/worker.ts";
import { errorCode, pathOf } from "../../services/maildir/file.ts";
import { nodeFiles } from "../../services/maildir/files.ts";
import { findDotQmail } from "./dot-qmail-file.ts";
import type { Task } from "./task.ts";

/** Where a delivery takes place, and which .qmail file in it counts. */
export interface Home {
  readonly path: string;
  readonly dash: string;
  readonly extension: string;
  /** Whether the default delivery makes its Maildir: in virtual mailboxes. */
  readonly makesMaildir: boolean;
}

export const noMailbox = permanent("1.1", "Sorry, no mailbox here by that name. (#5.1.1)");
const otherWritable = 0o002;
const sticky = 0o1000;

/** Finds the home of a delivery, makes it if that was asked for, and checks that it is fit to be used. */
export function openHome(task: Task): Outcome<Home> {
  try {
    if (task.homeKind !== homeGiven) return openMailbox(task);
    const path = pathOf(task.home);
    const unfit = unfitness(statSync(path));
    return unfit ?? done({ path, dash: task.dash, extension: task.extension, makesMaildir: false });
  } catch (error) {
    return temporary("3.0", `Unable to switch to ${task.home}: ${errorWords(errorCode(error))}. (#4.3.0)`);
  }
}

/** qmail's user lookup among the folders of a domain: the whole local part, else the longest name that exists. */
function openMailbox(task: Task): Outcome<Home> {
  const makes = task.homeKind === homeMade;
  const below = (split: NameSplit): string => `${pathOf(task.home)}/${pathOf(split.name)}`;
  const splits = nameSplits(task.local).filter((split) => isFolderName(split.name) && !below(split).includes("\ufffd"));
  for (const split of splits) {
    const path = below(split);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat?.isDirectory()) continue;
    const unfit = unfitness(stat);
    if (unfit) return unfit;
    const home = { path, dash: split.dash, extension: split.extension, makesMaildir: true };
    if (split.dash === "" || !makes) return done(home);
    const file = findDotQmail(nodeFiles, path, split.dash, split.extension);
    if (file.kind !== "done") return file;
    if (file.value) return done(home);
    break;
  }
  const [whole] = splits;
  if (makes && whole?.dash === "") {
    mkdirSync(below(whole), { recursive: true, mode: 0o700 });
    return done({ path: below(whole), dash: "", extension: "", makesMaildir: true });
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
