import { readFileSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { splitAddress } from "../../../protocol/address.ts";
import type { Settings } from "../../../protocol/control/table.ts";
import { type Instruction, parseDotQmail } from "../../../protocol/dot-qmail/lines.ts";
import { forwardReversePath, mayHaveOwner } from "../../../protocol/dot-qmail/owner.ts";
import { dotQmailNames, ownerNames } from "../../../protocol/dot-qmail/search.ts";
import { isFolderName, isTag, nameSplits } from "../../../protocol/users/account-names.ts";
import { homeGiven, homeMade, homeOwned } from "../../../protocol/wire/worker.ts";
import type { Route } from "../../../services/directory/route.ts";
import { errorCode, pathOf } from "../../../services/maildir/file.ts";
import type { Section, Step } from "./place.ts";

/** Where a delivery takes place. */
interface Place {
  readonly home: string;
  readonly dash: string;
  readonly extension: string;
  /** The extension is a mere tag: without a file for it the mail is for the name alone. */
  readonly isTagged?: boolean;
}

const otherWritable = 0o002;
const sticky = 0o1000;
const ownerExecutes = 0o100;

/** Which .qmail file counts, as far as we may look, and what its lines ask for. */
export function explainFiles(route: Route, address: string, sender: string, settings: Settings): readonly Section[] {
  const steps: Step[] = [];
  const title = "Which .qmail file";
  const ended = (result: string): readonly Section[] => [{ title, steps, result }];
  const place = placeOf(route, splitAddress(address).localPart, steps);
  if (typeof place === "string") return ended(place);
  const home = lookAt(pathOf(place.home));
  if (typeof home === "string") return ended(`the mail waits: ${place.home}: ${home}`);
  if (!home && route.homeKind === homeOwned) return ended(`a new mailbox, ${place.home}: ./Maildir/`);
  if (!home) return ended(`the mail waits: ${place.home} is not there`);
  if (home.mode & otherWritable) return ended(`the mail waits: ${place.home} is writable by everybody`);
  if (home.mode & sticky) return ended(`the mail waits: ${place.home} is sticky: its user is editing`);
  const found = findFile(place, steps);
  if (typeof found === "string") return ended(found);
  if (!found && place.dash !== "" && !place.isTagged)
    return ended("none: refused, Sorry, no mailbox here by that name. (#5.1.1)");
  const isDefault = !found || found.text === "";
  const text = isDefault ? (route.lines ?? settings.defaultdelivery.join("\n")) : found.text;
  const byDefault = route.lines === undefined ? "control/defaultdelivery" : "as accounts have it";
  const name = isDefault ? byDefault : found.name;
  const instructions = parseDotQmail(text, !isDefault && found.forwardOnly);
  const why = found ? (isDefault ? `${found.name} is empty: ${byDefault}` : found.name) : `none: ${name}`;
  return [{ title, steps, result: why }, linesOf(instructions, name, place, address, sender)];
}

/** The home that is given, or the folder that a virtual mailbox is: the whole name, else the longest that is there. */
function placeOf({ home, homeKind, dash, extension }: Route, localPart: string, steps: Step[]): Place | string {
  if (homeKind === homeGiven) return { home, dash, extension };
  if (homeKind === homeOwned) return { home, dash: dash && "-", extension, isTagged: isTag({ dash }) };
  const splits = nameSplits(localPart, dash).filter(({ name }) => isFolderName(name));
  for (const split of splits) {
    const path = join(home, split.name);
    const stat = lookAt(pathOf(path));
    if (typeof stat === "string") return `not known: ${path}: ${stat}`;
    steps.push({ where: path, says: stat?.isDirectory() ? "is there" : "is not there" });
    if (!stat?.isDirectory()) continue;
    const isHere =
      split.dash !== "-" || homeKind !== homeMade || typeof findFile({ ...split, home: path }, []) === "object";
    if (isHere) return { home: path, dash: split.dash && "-", extension: split.extension, isTagged: isTag(split) };
    break;
  }
  const [whole] = splits;
  if (homeKind !== homeMade || whole?.dash !== "")
    return "none: refused, Sorry, no mailbox here by that name. (#5.1.1)";
  return `a new mailbox, ${join(home, whole.name)}: control/defaultdelivery`;
}

interface Found {
  readonly name: string;
  readonly text: string;
  readonly forwardOnly: boolean;
}

/** `undefined` when there is none; what is in the way as a sentence. */
function findFile(place: Place, steps: Step[]): Found | string | undefined {
  const all = [...dotQmailNames(place.dash, place.extension), ...(place.isTagged ? dotQmailNames("", "") : [])];
  const names = new Set(all.map(({ name }) => name));
  for (const name of names) {
    const path = join(place.home, pathOf(name));
    const stat = lookAt(path);
    if (typeof stat === "string") {
      steps.push({ where: path, says: stat });
      return `not known: ${path}: ${stat}`;
    }
    steps.push({ where: path, says: stat?.isFile() ? "is there: it counts" : "is not there" });
    if (!stat?.isFile()) continue;
    if (stat.mode & otherWritable) return `the mail waits: ${path} is writable by everybody`;
    try {
      return { name: path, text: readFileSync(path, "latin1"), forwardOnly: (stat.mode & ownerExecutes) !== 0 };
    } catch (error) {
      return `${path}, which you may not read: ${errorCode(error)}`;
    }
  }
  return undefined;
}

function linesOf(
  instructions: readonly Instruction[],
  name: string,
  place: Place,
  address: string,
  sender: string,
): Section {
  const steps = instructions.map((instruction) => ({
    where: `${name}:${instruction.line}`,
    says: wordsOf(instruction, pathOf(place.home)),
  }));
  const forwards = instructions.filter(({ kind }) => kind === "forward").length;
  const title = "Its lines, in order";
  if (instructions.some(({ kind }) => kind === "fail")) return { title, steps, result: "the mail waits at that line" };
  if (instructions.length === 0) return { title, steps, result: "nothing: the mail is thrown away" };
  if (forwards === 0) return { title, steps, result: "done when all of them are" };
  return {
    title,
    steps,
    result: `forwarded at the end, all together, from <${forwardSender(place, address, sender)}>`,
  };
}

function wordsOf(instruction: Instruction, home: string): string {
  switch (instruction.kind) {
    case "maildir":
      return `Maildir ${join(instruction.path.startsWith("/") ? "" : home, pathOf(instruction.path))}`;
    case "mbox":
      return `mbox ${join(instruction.path.startsWith("/") ? "" : home, pathOf(instruction.path))}`;
    case "program":
      return `program ${instruction.command}`;
    case "forward":
      return `forward to ${instruction.forwardPath}`;
    case "fail":
      return instruction.failure.text;
    default:
      return instruction satisfies never;
  }
}

function forwardSender({ home, dash, extension }: Place, address: string, sender: string): string {
  const { owner, verp } = ownerNames(dash, extension);
  const has = (file: string): boolean => typeof lookAt(join(home, pathOf(file))) === "object";
  if (!mayHaveOwner(sender)) return sender;
  const { localPart: local, domain } = splitAddress(address);
  return forwardReversePath({ local, domain }, sender, { owner: has(owner), verp: has(verp) });
}

/** `undefined` when there is nothing; why it cannot be looked at as words. */
function lookAt(path: string): Stats | string | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    return `cannot be looked at: ${errorCode(error)}`;
  }
}
