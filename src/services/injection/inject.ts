import { readFileSync } from "node:fs";
import { parseControl } from "../../protocol/control/parse.ts";
import { type Author, type Completed, completeMessage, type Injection } from "../../protocol/header/complete.ts";
import { done, type Failure, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { readControlFile } from "../control-folder/control-folder.ts";
import type { Layout } from "../layout/layout.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** What the command line says about one message. Texts as Node gives them. */
export interface Wishes {
  readonly recipientsFrom: Injection["recipientsFrom"];
  readonly arguments: readonly string[];
  readonly reversePath: string | undefined;
}

/** A text of the command line or environment as the octets it was. */
const octets = (text: string): string => Buffer.from(text, "utf8").toString("latin1");

/** The message, completed as the environment and the control files have it. */
export function complete(
  message: Buffer,
  wishes: Wishes,
  environment: Environment,
  layout: Layout,
): Outcome<Completed> {
  const hosts = readHosts(environment, layout);
  if (hosts.kind !== "done") return hosts;
  const lists = readMailingLists(environment.QMAILMFTFILE);
  if (lists.kind !== "done") return lists;
  const { idhost, ...completion } = hosts.value;
  return completeMessage(message, {
    author: authorOf(environment, completion.defaulthost),
    completion,
    idhost,
    letters: new Set(environment.QMAILINJECT ?? ""),
    recipientsFrom: wishes.recipientsFrom,
    arguments: wishes.arguments.map(octets),
    reversePath: wishes.reversePath === undefined ? undefined : octets(wishes.reversePath),
    mailingLists: lists.value,
    nowMs: Date.now(),
    pid: process.pid,
  });
}

/** The first of some variables that is set. */
function firstOf(environment: Environment, names: readonly string[]): string | undefined {
  const name = names.find((candidate) => environment[candidate] !== undefined);
  const value = name === undefined ? undefined : environment[name];
  return value === undefined ? undefined : octets(value);
}

function authorOf(environment: Environment, defaulthost: string): Author {
  return {
    user: firstOf(environment, ["QMAILUSER", "MAILUSER", "USER", "LOGNAME"]) ?? "anonymous",
    host: firstOf(environment, ["QMAILHOST", "MAILHOST"]) ?? defaulthost,
    name: firstOf(environment, ["QMAILNAME", "MAILNAME", "NAME"]),
    senderUser: firstOf(environment, ["QMAILSUSER"]),
    senderHost: firstOf(environment, ["QMAILSHOST"]),
  };
}

const hostNames = ["defaulthost", "defaultdomain", "plusdomain", "idhost"] as const;
type Hosts = Readonly<Record<(typeof hostNames)[number], string>>;

/**
 * Each from its variable (QMAILDEFAULTHOST), its control file, or control/me. A `me` without a dot, as `localhost`, is
 * no domain to complete names with: then they stay as they are, for localhost.localhost is nowhere.
 */
function readHosts(environment: Environment, { control }: Layout): Outcome<Hosts> {
  const me = readLine(control, "me", "localhost");
  if (typeof me !== "string") return me;
  const hosts = { defaulthost: "", defaultdomain: "", plusdomain: "", idhost: "" };
  for (const name of hostNames) {
    const byDefault = name === "defaultdomain" && !me.includes(".") ? "" : me;
    const host = firstOf(environment, [`QMAIL${name.toUpperCase()}`]) ?? readLine(control, name, byDefault);
    if (typeof host !== "string") return host;
    hosts[name] = host;
  }
  return done(hosts);
}

/** The line of a control file; without the file, what it is by default. */
function readLine(control: string, name: string, byDefault: string): string | Failure {
  const text = readControlFile(control, name);
  if (text.kind !== "done") return text;
  if (text.value === undefined) return byDefault;
  const line = parseControl(name, text.value);
  return line.kind === "done" ? String(line.value) : line;
}

/** The addresses in the file that QMAILMFTFILE names, if it does. */
function readMailingLists(path: string | undefined): Outcome<ReadonlySet<string> | undefined> {
  if (path === undefined) return done(undefined);
  try {
    const lines = readFileSync(path, "latin1").split("\n");
    return done(new Set(lines.map((line) => line.trim().toLowerCase()).filter((line) => line !== "")));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return permanent("3.5", `cannot read ${path}, which QMAILMFTFILE names: ${code}`);
    return temporary("3.0", `cannot read ${path}, which QMAILMFTFILE names: ${code}`);
  }
}
