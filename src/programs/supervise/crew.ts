import { Socket } from "node:net";
import { withoutSecrets } from "../../protocol/control/describe.ts";
import type { Settings } from "../../protocol/control/table.ts";
import type { Event } from "../../protocol/event/event.ts";
import { socketPair } from "../../services/kernel/sockets.ts";
import type { CertificateFiles } from "../../services/tls/certificate.ts";
import { type Death, Member, type MemberOptions } from "./member.ts";
import { type ProgramName, speak, speaksTls } from "./walls.ts";

export interface CrewOptions {
  readonly members: readonly MemberOptions[];
  readonly settings: Settings;
  readonly certificates: readonly CertificateFiles[];
  readonly facts: (program: ProgramName) => Readonly<Record<string, unknown>>;
  readonly log: (event: Event) => void;
  /** Our own connection with `logger`, at its start and at each of its restarts. */
  readonly attachLog: (socket: Socket) => void;
  /** Ends it: `logger` stops when all have said their last. */
  readonly closeLog: () => void;
  readonly complain: (line: string) => void;
}

export type Begun = { readonly kind: "begun" } | { readonly kind: "misconfigured"; readonly program: ProgramName };

export interface Crew {
  readonly members: readonly Member[];
  /** Resolves when every program took up its work, or when one ended as misconfigured (and said why) before it had. */
  readonly begun: Promise<Begun>;
  reload(settings: Settings, certificates: readonly CertificateFiles[]): void;
  /** Front doors first, so that what is inside still finds its way; the log last. */
  stop(): Promise<void>;
}

/** Longest time each stage of a stop has, before the processes are killed. */
const stopGraceMs = 10_000;
const stopOrder: readonly (readonly ProgramName[])[] = [
  ["smtpd", "qmtpd", "pop3d", "authd"],
  ["hook"],
  ["qmqpd"], // through it comes what a program of the site's has looked at
  ["queue"],
  ["directory", "local", "remote"],
  ["logger"],
];

/** Starts all programs, each connected with those it speaks with, and again whenever one dies. */
export function startCrew(options: CrewOptions): Crew {
  let { settings, certificates } = options;
  let stopping = false;
  const begun = Promise.withResolvers<Begun>();

  /** Secrets only for those who need them. */
  const forMember = ({ name }: Member) => ({
    settings: withoutSecrets(settings, name),
    certificates: speaksTls(name) ? certificates : [],
  });
  const onHello = (member: Member): void => {
    const { listeners } = member;
    const facts = options.facts(member.name);
    member.send({ kind: "start", ...forMember(member), listeners, facts });
    if (member.name === "logger") connectOurselves(member);
    for (const other of members) {
      if (other.running && speak(member.name, other.name)) connect(member, other);
    }
  };
  const onReady = (): void => {
    if (members.every((member) => member.ready)) begun.resolve({ kind: "begun" });
  };
  const onDied = (member: Member, { pid, why, againInMs, misconfigured }: Death): void => {
    if (misconfigured) {
      begun.resolve({ kind: "misconfigured", program: member.name });
      return;
    }
    options.log({ event: "died", name: member.name, pid, why, againInMs });
    const when = againInMs === 0 ? "starting it again" : `starting it again in ${againInMs / 1_000} s`;
    if (!stopping) options.complain(`postern: ${member.name} (pid ${pid}) died: ${why}; ${when}`);
  };

  const connect = (one: Member, other: Member): void => {
    const ends = pairOrKill(one);
    if (!ends) return;
    one.send({ kind: "peer", name: other.name }, untouched(ends[0]));
    other.send({ kind: "peer", name: one.name }, untouched(ends[1]));
  };
  const connectOurselves = (logger: Member): void => {
    const ends = pairOrKill(logger);
    if (!ends) return;
    logger.send({ kind: "peer", name: "supervise" }, untouched(ends[0]));
    options.attachLog(new Socket({ fd: ends[1] }));
  };
  /** A program that cannot be connected starts over, after a wait, and is connected then. */
  const pairOrKill = (member: Member): readonly [number, number] | undefined => {
    const pair = socketPair();
    if (pair.kind === "done") return pair.value;
    options.complain(`postern: ${member.name}: ${pair.text}`);
    member.kill();
    return undefined;
  };

  const members = options.members.map(
    (member) => new Member(member, { onHello, onReady, onDied, onComplaint: options.complain }),
  );
  for (const member of members) member.start();

  return {
    members,
    begun: begun.promise,
    reload(...fresh) {
      [settings, certificates] = fresh;
      for (const member of members) {
        if (member.running) member.send({ kind: "reload", ...forMember(member) });
      }
    },
    async stop() {
      stopping = true;
      for (const stage of stopOrder) {
        if (stage.includes("logger")) options.closeLog();
        const leaving = members.filter((member) => stage.includes(member.name));
        await Promise.all(leaving.map((member) => member.stop(stopGraceMs)));
      }
    },
  };
}

/** Only to be sent on: not read from meanwhile, or the first words of the other side would be lost. */
const untouched = (fd: number): Socket => new Socket({ fd, readable: false });
