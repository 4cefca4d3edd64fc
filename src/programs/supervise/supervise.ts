import type { Socket } from "node:net";
import { availableParallelism } from "node:os";
import type { Settings } from "../../protocol/control/table.ts";
import { done, type Failure, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { createEventLog } from "../../services/event/event-log.ts";
import type { LaunchPlan } from "../../services/launch/plan.ts";
import { controlSocket } from "../../services/layout/layout.ts";
import { settle } from "../../services/memory/settle.ts";
import { keepingOld, readCertificates } from "../../services/tls/read-certificates.ts";
import { ageWarnings, checkCertificates } from "./certificates.ts";
import type { StartOptions } from "./command-line.ts";
import { type ControlCommands, serveControl } from "./control-server.ts";
import { type Crew, startCrew } from "./crew.ts";
import { factsFor } from "./facts.ts";
import type { MemberOptions } from "./member.ts";
import { needsHook, needsPop3, readSettings, type SetUp } from "./set-up.ts";
import { ownStatus, type ProgramStatus, programStatus, workerStatuses } from "./status.ts";
import { type ProgramName, wallOf } from "./walls.ts";

export interface Console {
  /** A line for whoever watches. */
  readonly complain: (line: string) => void;
  /** Everything runs. */
  readonly running: () => void;
}

/** What takes effect at the next start only: the listeners are bound and the processes counted by then. */
const fixedSettings = [
  "smtplisten",
  "submissionlisten",
  "smtpslisten",
  "lmtplisten",
  "qmtplisten",
  "qmqplisten",
  "pop3listen",
  "pop3slisten",
  "authsocket",
  "smtpdprocesses",
  "remoteprocesses",
] as const;

/** Runs the whole server until it is told to stop. Fails when it cannot begin. */
export async function supervise(options: StartOptions, set: SetUp, console: Console): Promise<Outcome<void>> {
  const { layout, accounts } = set;
  let { settings, certificates } = set;
  const about = {
    folder: options.root,
    embedded: options.embedded,
    pid: process.pid,
    since: new Date().toISOString(),
    listeners: set.listeners.map(({ service, name }) => ({ service, name })),
  };
  const events = createEventLog();
  let logSocket: Socket | undefined;
  const stopped = Promise.withResolvers<void>();
  const planOf = (program: ProgramName): LaunchPlan => ({
    node: process.execPath,
    code: set.code,
    program,
    wall: wallOf(program, layout, accounts),
  });
  const smtpdProcesses = settings.smtpdprocesses || Math.max(1, Math.floor(availableParallelism() / 2));
  const facts = {
    root: options.root,
    layout,
    accounts,
    deliver: planOf("deliver"),
    pop3session: planOf("pop3session"),
    smtpdProcesses,
    settings: () => settings,
  };

  const reload = (): Outcome<readonly string[]> => {
    const fresh = readSettings(layout, options);
    const read = readCertificates(layout.tls);
    if (fresh.kind !== "done") return notReloaded(fresh);
    if (read.kind !== "done") return notReloaded(read);
    const usable = checkCertificates(keepingOld(read.value, certificates), fresh.value);
    if (usable.kind !== "done") return notReloaded(usable);
    const notes = [...changesForLater(settings, fresh.value, set.settings)];
    if (usable.value.length > 0 && set.certificates.length === 0)
      notes.push("control/smtpslisten counts from the next start");
    settings = fresh.value;
    certificates = usable.value;
    notes.push(...ageWarnings(certificates, Date.now()));
    notes.forEach(warn);
    crew.reload(settings, certificates);
    events.log({ event: "reloaded" });
    const faults = read.value.faults.map((fault) => `${fault}; what was there before is kept`);
    for (const fault of faults) {
      warn(fault);
      console.complain(`postern: ${fault}`);
    }
    return faults.length > 0 ? permanent("3.5", faults.join("\n")) : done(notes);
  };
  const warn = (text: string): void => events.log({ event: "warning", text });
  const notReloaded = (failure: Failure): Failure => {
    warn(`not reloaded: ${failure.text}`);
    for (const line of failure.text.split("\n")) console.complain(`postern: not reloaded: ${line}`);
    return failure;
  };
  const commands: ControlCommands = {
    status: () => ({ ...about, programs: statuses(crew, [facts.deliver, facts.pop3session], options.embedded) }),
    reload,
    stop: () => stopped.resolve(),
    queue: (socket, uid) => {
      const queue = crew.members.find((member) => member.name === "queue" && member.running);
      if (!queue) return temporary("3.0", "queue does not run at the moment: try again");
      queue.send({ kind: "operator", uid }, socket);
      return done(undefined);
    },
  };
  const control = await serveControl(controlSocket(layout), commands);
  if (control.kind !== "done") return control;

  const crew: Crew = startCrew({
    members: membersOf(set, planOf, smtpdProcesses),
    settings,
    certificates,
    facts: (program) => factsFor(program, facts),
    log: events.log,
    attachLog: (socket) => {
      logSocket = socket;
      events.attach(socket);
    },
    closeLog: () => {
      void events.flushed(); // hands over at once; the rest of its promise nobody needs
      logSocket?.end();
    },
    complain: console.complain,
  });
  events.log({ event: "started", pid: process.pid });
  for (const text of ageWarnings(certificates, Date.now())) warn(text);
  process.on("SIGHUP", reload);
  process.on("SIGTERM", () => stopped.resolve());
  process.on("SIGINT", () => stopped.resolve());

  const begun = await Promise.race([crew.begun, stopped.promise]);
  if (begun?.kind === "begun") {
    console.running();
    settle();
    await stopped.promise;
  }
  events.log({ event: "stopped", pid: process.pid });
  await crew.stop();
  control.value.close();
  if (begun?.kind !== "misconfigured") return done(undefined);
  return permanent("3.5", `stopped: ${begun.program} cannot work with this configuration`);
}

/** What of the settings stays as it was until the next start, in words. */
const changesForLater = (before: Settings, after: Settings, atStart: Settings): readonly string[] => [
  ...fixedSettings
    .filter((name) => String(before[name]) !== String(after[name]))
    .map((name) => `control/${name} has changed: it takes effect at the next start`),
  ...(needsHook(after) && !needsHook(atStart) ? ["mail for a QMAILQUEUE program is refused until the next start"] : []),
];

/** Every program with its listeners; those who may be several, as often as the settings say. */
function membersOf(set: SetUp, planOf: (program: ProgramName) => LaunchPlan, smtpdProcesses: number): MemberOptions[] {
  const fdsOf = (service: string): number[] =>
    set.listeners.filter((one) => one.service === service).map(({ fd }) => fd);
  const member = (
    name: ProgramName,
    listeners: Record<string, readonly number[]> = {},
    held: readonly number[] = [],
  ): MemberOptions => ({ name, plan: planOf(name), listeners, held });
  const times = (count: number, one: MemberOptions): MemberOptions[] => new Array<MemberOptions>(count).fill(one);
  const smtpdListeners = {
    smtp: fdsOf("smtp"),
    submission: fdsOf("submission"),
    smtps: fdsOf("smtps"),
    lmtp: fdsOf("lmtp"),
  };
  return [
    member("logger"),
    member("queue", {}, [set.queueLock]),
    member("directory"),
    member("local"),
    ...times(set.settings.remoteprocesses, member("remote")),
    ...times(smtpdProcesses, member("smtpd", smtpdListeners)),
    ...(fdsOf("qmtp").length > 0 ? [member("qmtpd", { qmtp: fdsOf("qmtp") })] : []),
    ...(needsPop3(set.settings) ? [member("pop3d", { pop3: fdsOf("pop3"), pop3s: fdsOf("pop3s") })] : []),
    ...(fdsOf("auth").length > 0 ? [member("authd", { auth: fdsOf("auth") })] : []),
    ...(needsHook(set.settings) ? [member("hook")] : []),
    member("qmqpd", { qmqp: fdsOf("qmqp"), "qmqp-tcp": fdsOf("qmqp-tcp") }),
  ];
}

function statuses(crew: Crew, workers: readonly LaunchPlan[], embedded: boolean): ProgramStatus[] {
  return [
    ownStatus(),
    ...crew.members.flatMap((member) => [
      programStatus(member, embedded),
      ...(member.name === "local" ? workerStatuses(member.pid, workers, embedded) : []),
    ]),
  ];
}
