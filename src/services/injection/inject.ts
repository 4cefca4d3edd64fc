import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { parseControl } from "../../protocol/control/parse.ts";
import { type Author, type Completed, completeMessage, type Injection } from "../../protocol/header/complete.ts";
import type { Relay } from "../../protocol/mx/route.ts";
import { done, type Failure, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { parseQmqpServers } from "../../protocol/qmqp/servers.ts";
import { readControlFile } from "../control-folder/control-folder.ts";
import { type Layout, submissionSocket } from "../layout/layout.ts";
import { type QmqpRequest, submitByQmqp, submitToServers } from "../qmqp-client/submit.ts";
import { runQueueProgram } from "../queue-program/run.ts";
import { openSpool } from "../queue-program/spool.ts";

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

/**
 * Hands a completed message to the program that QMAILQUEUE names or, without one, in. The words are there when that
 * program has taken it, or when it is on the server's disk.
 */
export async function submit(
  { header, body, ...addresses }: Completed,
  layout: Layout,
  environment: Environment = {},
): Promise<Outcome<string>> {
  const request = { message: [Buffer.from(header, "latin1"), ...(body ? [body] : [])], ...addresses };
  if (!environment.QMAILQUEUE) return await submitMessage(request, layout);
  const taken = await submitToProgram(environment.QMAILQUEUE, request, environment, layout);
  return taken.kind === "done" ? done(`ok ${Math.floor(Date.now() / 1_000)} qp ${taken.value}`) : taken;
}

/**
 * Hands a message to the server of this host or, with control/qmqpservers, to one of those. The reply is there when it
 * is on the server's disk.
 */
export async function submitMessage(request: QmqpRequest, layout: Layout): Promise<Outcome<string>> {
  const servers = readServers(layout);
  if (servers.kind !== "done") return servers;
  return servers.value.length > 0
    ? await submitToServers(servers.value, request)
    : await submitByQmqp(submissionSocket(layout), request);
}

/** As long as qmail-queue itself may take. */
const longestProgramMs = 86_400_000;

async function submitToProgram(
  program: string,
  { message, reversePath, forwardPaths }: QmqpRequest,
  environment: Environment,
  layout: Layout,
): Promise<Outcome<number>> {
  const spoolFolder = tmpdir();
  const opened = await openSpool(spoolFolder);
  if (opened.kind !== "done") return opened;
  await using spool = opened.value;
  for (const piece of message) {
    const written = await spool.write(piece);
    if (written.kind !== "done") return written;
  }
  return await runQueueProgram({
    program,
    folder: dirname(layout.control),
    environment,
    message: spool,
    reversePath,
    forwardPaths,
    spoolFolder,
    longestMs: longestProgramMs,
  });
}

/** The servers of a host without a queue, none on others. */
function readServers({ control }: Layout): Outcome<readonly Relay[]> {
  const text = readControlFile(control, "qmqpservers");
  if (text.kind !== "done" || text.value === undefined) return text.kind === "done" ? done([]) : text;
  const lines = parseControl("qmqpservers", text.value);
  if (lines.kind !== "done") return lines;
  return parseQmqpServers(Array.isArray(lines.value) ? lines.value.map(String) : []);
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
