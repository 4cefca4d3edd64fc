import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { controlFate, missingControlNotes } from "../../protocol/qmail-site/control-fate.ts";
import { parseRc } from "../../protocol/qmail-site/rc.ts";
import type { Layout } from "../layout/layout.ts";
import { type AliasOwner, planVirtualAccounts } from "./virtual-accounts.ts";

/** One file of qmail's, and what an import does with it. */
export interface FilePlan {
  readonly place: "control" | "users" | "alias";
  readonly name: string;
  /** `kept`: there is another one here already, which stays. `same`: there is the same one. */
  readonly fate: "taken" | "translated" | "no effect" | "wrong" | "unknown" | "kept" | "same" | "left";
  readonly why: string;
  /** Octets to be written, latin1; absent when nothing is. */
  readonly text?: string;
  /** A symbolic link to be made, to there. */
  readonly link?: string;
  /** Of .qmail files it means something: 0o777 of it. */
  readonly mode?: number;
}

export interface SitePlan {
  readonly files: readonly FilePlan[];
  /** What will behave differently, and why. */
  readonly notes: readonly string[];
}

const usersFiles = ["assign", "cdb", "include", "exclude", "mailnames", "subusers", "append"];
const maxFileOctets = 268_435_456;

/** Looks at a qmail folder and decides, file by file. Reads only. `force`: what is here already gives way. */
export function planSite(folder: string, layout: Layout, options: { readonly force: boolean }): Outcome<SitePlan> {
  try {
    const control = listed(join(folder, "control")).map((name) => planControl(folder, name));
    const rc = planRc(folder, control);
    const virtual = planVirtualAccounts(folder, defaultDelivery(folder, rc.files), aliasOwner(layout));
    const users = listed(join(folder, "users")).map((name) => planUsers(folder, name));
    const assign = virtual.assign === undefined ? [] : [virtual.assign];
    const others = users.filter(({ name }) => assign.length === 0 || !["assign", "cdb"].includes(name));
    const alias = listed(join(folder, "alias")).map((name) => planAlias(folder, name));
    const files = [...control, ...rc.files, ...others, ...assign, ...alias];
    const has = (name: string): boolean => control.some((each) => each.name === name && each.fate === "taken");
    return done({
      files: files.map((file) => besideOurs(file, layout, options.force)),
      notes: [...missingControlNotes(has), ...rc.notes, ...virtual.notes, ...compiledNotes(folder)],
    });
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return temporary("3.0", `cannot read ${path ?? folder}: ${code}`);
  }
}

const listed = (folder: string): readonly string[] => (existsSync(folder) ? readdirSync(folder).sort() : []);

function readText(path: string): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats?.isFile() && stats.size <= maxFileOctets ? readFileSync(path, "latin1") : undefined;
}

function planControl(folder: string, name: string): FilePlan {
  const place = "control";
  if (name.startsWith(".") || name.endsWith("~")) return { place, name, fate: "left", why: "it is no control file" };
  const path = join(folder, place, name);
  const known = controlFate(name, "");
  if (known.fate === "no effect" || known.fate === "unknown") return { place, ...known };
  const text = readText(path);
  if (text === undefined) return { place, name, fate: "wrong", why: "it is no file" };
  const fate = controlFate(name, text);
  return fate.fate === "taken" ? { place, ...fate, text } : { place, ...fate };
}

/** qmail-start's argument becomes control/defaultdelivery, unless there is one. */
function planRc(folder: string, control: readonly FilePlan[]): SitePlan {
  const path = join(folder, "rc");
  if (!existsSync(path)) {
    return { files: [], notes: ["no rc: what users without .qmail get is control/defaultdelivery, else ./Maildir/"] };
  }
  const style = parseRc(readFileSync(path, "latin1"));
  if (control.some(({ name }) => name === "defaultdelivery")) return { files: [], notes: [] };
  if (style.kind !== "lines" || style.lines.length === 0) {
    const why = style.kind === "computed" ? "the shell makes it" : "no line starts qmail-start with one";
    return {
      files: [],
      notes: [
        `rc: what users without .qmail get could not be read (${why}): it becomes ./Maildir/; see control/defaultdelivery`,
      ],
    };
  }
  const text = `${style.lines.join("\n")}\n`;
  const why = "from rc, what qmail-start was given for users without .qmail";
  return { files: [{ place: "control", name: "defaultdelivery", fate: "translated", why, text }], notes: [] };
}

function defaultDelivery(folder: string, translated: readonly FilePlan[]): string {
  const own = join(folder, "control/defaultdelivery");
  const text = existsSync(own) ? readFileSync(own, "latin1") : (translated[0]?.text ?? "./Maildir/\n");
  return text.trim();
}

/** Who takes aliases from now on. In a whole system the folder is made, with its owner, by the server's first start. */
function aliasOwner({ alias }: Layout): AliasOwner {
  const stats = statSync(alias, { throwIfNoEntry: false });
  const [uid = 0, gid = 0] = stats ? [stats.uid, stats.gid] : [process.getuid?.(), process.getgid?.()];
  return { home: resolve(alias), uid, gid };
}

function planUsers(folder: string, name: string): FilePlan {
  const place = "users";
  const text = usersFiles.includes(name) ? readText(join(folder, place, name)) : undefined;
  if (text === undefined) return { place, name, fate: "left", why: "Postern reads no such file" };
  return { place, name, fate: "taken", why: "", text };
}

function planAlias(folder: string, name: string): FilePlan {
  const place = "alias";
  const path = join(folder, place, name);
  if (!name.startsWith(".qmail"))
    return { place, name, fate: "left", why: "it is no .qmail file; mail in it stays where it is" };
  if (lstatSync(path).isSymbolicLink()) return { place, name, fate: "taken", why: "a link", link: readlinkSync(path) };
  const text = readText(path);
  return text === undefined
    ? { place, name, fate: "left", why: "it is no file" }
    : { place, name, fate: "taken", why: "", text, mode: statSync(path).mode & 0o777 };
}

/** What is here already stays, and that is said, unless it is to give way. */
function besideOurs(file: FilePlan, layout: Layout, force: boolean): FilePlan {
  const { text, link, mode: _, ...rest } = file;
  if (text === undefined && link === undefined) return file;
  const path = join(layout[file.place], file.name);
  const ours = lstatSync(path, { throwIfNoEntry: false });
  if (!ours) return file;
  const isSame = ours.isSymbolicLink()
    ? readlinkSync(path) === link
    : ours.isFile() && readFileSync(path, "latin1") === text;
  if (isSame) return { ...rest, fate: "same", why: "it is here already" };
  if (force && !ours.isDirectory())
    return { ...file, why: `${file.why === "" ? "" : `${file.why}; `}ours is overwritten` };
  return { ...rest, fate: "kept", why: "ours is another one, and stays; --force takes qmail's" };
}

function compiledNotes(folder: string): readonly string[] {
  const changed = (name: string): number | undefined =>
    lstatSync(join(folder, "users", name), { throwIfNoEntry: false })?.mtimeMs;
  const [assign, cdb] = [changed("assign"), changed("cdb")];
  if (assign === undefined || (cdb !== undefined && cdb >= assign)) return [];
  return ["users/assign is newer than users/cdb: qmail did not use it yet, and Postern will"];
}
