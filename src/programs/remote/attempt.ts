import { splitAddress } from "../../protocol/address.ts";
import { toALabels } from "../../protocol/idna/idna.ts";
import type { Host } from "../../protocol/mx/choose.ts";
import { prefersQmtp } from "../../protocol/mx/mxps.ts";
import type { Failure } from "../../protocol/outcome.ts";
import { deferred, type Fate, failed } from "../../protocol/smtp/client-fate.ts";
import { noRequireTls } from "../../protocol/smtp/envelope.ts";
import { firstRecipients, type Transaction } from "../../protocol/smtp/transaction.ts";
import type { TlsDemand, TlsFault, TlsFaultKind } from "../../protocol/tls-policy/demand.ts";
import { expandVerp, isVerp } from "../../protocol/verp.ts";
import { expandsVerp } from "../../protocol/wire/delivery.ts";
import type { Body } from "./body.ts";
import { Connection, type Opened, type Shared, type Target } from "./connection.ts";
import type { DeadHosts } from "./dead-hosts.ts";
import { demandFor, loginFor, type Sources } from "./demand.ts";
import { type Destination, findHosts } from "./hosts.ts";
import type { IdleConnections } from "./idle.ts";
import { QmtpDelivery, type QmtpResult } from "./qmtp.ts";
import type { TlsResults } from "./tls-results.ts";

/** What deliveries share. */
export interface Means extends Shared, Sources {
  readonly tlsResults: TlsResults;
  readonly idle: IdleConnections;
  readonly deadHosts: DeadHosts;
  /** 0 <= n < 1. */
  readonly random: () => number;
}

/** One message for recipients of one domain. */
export interface Job {
  readonly transaction: Transaction;
  readonly body: Body;
  /** Told which connection has it, so that it can be ended from outside. */
  onConnection(connection: Pick<Connection, "abort">): void;
  isAbandoned(): boolean;
}

/**
 * One fate for each recipient that was tried, or one for all. `reached`: 0 nothing learnt of the destination, 1 it
 * answered, 2 it could not be reached, 4 it answered, and expands VERP.
 */
export interface Verdict {
  readonly fates: readonly Fate[];
  readonly reached: 0 | 1 | 2 | typeof expandsVerp;
  /** So many of the recipients were tried, when not all were. */
  readonly tried?: number;
  /** Who took it, if anybody did; whether that server sees to what was asked for (RFC 3461), and is a store (RFC 2033). */
  readonly peer?: { readonly name: string; readonly takesDsn: boolean; readonly isFinal: boolean };
}

/** How many hosts that cannot be reached a report names. */
const maxNamed = 5;

/**
 * Tries one host after the other, best first, until one takes part in the transaction: its word is final. A host that
 * cannot be reached, does not greet us or rejects our name gives way to the next. Always ends; starts no new host after
 * `silenceTimeoutMs`.
 */
export async function attempt(job: Job, means: Means): Promise<Verdict> {
  const { domain } = splitAddress(job.transaction.forwardPaths[0] ?? "");
  // Where it has no other form DNS does not know it either.
  const found = await findHosts(toALabels(domain) ?? domain, means.config, means.dns, means.random);
  if (found.kind !== "done") return { fates: [fateOf(found)], reached: 0 };
  const lastStartMs = means.watch.now() + means.config.silenceTimeoutMs;
  const tried: Tried = { refusals: [], unreachable: [], answered: false };
  for (const host of found.value.hosts) {
    if (job.isAbandoned() || means.watch.now() > lastStartMs) break;
    const delivered = await tryHost(job, host, found.value, means, tried);
    if (delivered) return delivered;
  }
  return summary(tried);
}

interface Tried {
  readonly refusals: Fate[];
  readonly unreachable: string[];
  answered: boolean;
}

/** Over QMTP where the route or MXPS says so. Where MXPS does, a host that is not there by QMTP may be by SMTP. */
async function tryHost(
  job: Job,
  host: Host,
  to: Destination,
  means: Means,
  tried: Tried,
): Promise<Verdict | undefined> {
  const { name, address, preference } = host;
  const { port, protocol } = to;
  if (protocol === "QMTP") {
    const unfit = unfitForQmtp(job.transaction, address);
    if (unfit) return { fates: [unfit], reached: 0 };
    const result = await byQmtp(job, { name, address, port }, means);
    if (result.kind === "unreachable") tried.unreachable.push(`${address}: ${result.why}`);
    return result.kind === "answered" ? result.verdict : undefined;
  }
  if (protocol === "by preference" && prefersQmtp(preference) && !unfitForQmtp(job.transaction, address)) {
    const result = await byQmtp(job, { name, address, port: means.config.qmtpPort }, means);
    if (result.kind === "answered") return result.verdict;
    if (job.isAbandoned()) return undefined;
  }
  const login = loginFor(to, means.config);
  const { demand, fault } = await demandFor(host, to, means, job.transaction.asked);
  const target: Target = {
    ...{ address, port, protocol: protocol === "LMTP" ? "LMTP" : "SMTP" },
    name: demand.level === "dane" ? (demand.names[0] ?? name) : name,
    demand,
    ...(login && { login }),
  };
  if (fault) note(means, job, demand, fault.kind);
  if (fault && !demand.isTest) {
    tried.refusals.push(withoutTls(target, fault));
    return undefined;
  }
  if (job.isAbandoned()) return undefined;
  return await trySmtp(job, target, means, tried);
}

/** QMTP knows of no extension, and lines end in LF there. */
function unfitForQmtp({ bodyType, asked }: Transaction, peer: string): Fate | undefined {
  if (asked?.requireTls) return failed("7.30", noRequireTls(peer));
  if (bodyType !== "BINARYMIME") return undefined;
  return failed("6.1", `${peer} takes no binary messages, and this one cannot be sent otherwise. (#5.6.1)\n`);
}

type ByQmtp =
  | { readonly kind: "answered"; readonly verdict: Verdict }
  | (QmtpResult & { readonly kind: "unreachable" });

async function byQmtp(job: Job, target: Pick<Target, "name" | "address" | "port">, means: Means): Promise<ByQmtp> {
  const { watch, deadHosts } = means;
  const { address } = target;
  if (deadHosts.isDead(address, watch.now())) return { kind: "unreachable", why: tooSoon, timedOut: false };
  const transaction = withOneReversePath(job.transaction);
  const delivery = new QmtpDelivery(target, transaction, job.body, means);
  job.onConnection(delivery);
  const result = await delivery.result;
  if (result.kind === "unreachable" && result.timedOut) deadHosts.onTimeout(address, watch.now());
  else deadHosts.onAnswer(address);
  if (result.kind === "unreachable") return result;
  return {
    kind: "answered",
    verdict: {
      fates: result.fates,
      reached: 1,
      tried: transaction.forwardPaths.length,
      peer: { name: target.name, takesDsn: false, isFinal: false },
    },
  };
}

const tooSoon = "not tried again so soon after its timeouts";

async function trySmtp(job: Job, target: Target, means: Means, tried: Tried): Promise<Verdict | undefined> {
  const { address } = target;
  const kept = means.idle.take(target, domainOf(job));
  if (kept) {
    const delivered = await transact(kept, job, means);
    // It may have gone out of fashion while it was idle: that says nothing about the message.
    if (!delivered.untouched || job.isAbandoned()) return delivered.verdict;
  }
  if (means.deadHosts.isDead(address, means.watch.now())) {
    tried.unreachable.push(`${address}: ${tooSoon}`);
    return undefined;
  }
  const { connection, opened } = await open(target, job, means);
  switch (opened.kind) {
    case "ready":
      if (connection.isSecured) note(means, job, target.demand, connection.leniency?.kind ?? "success");
      means.deadHosts.onAnswer(address);
      return (await transact(connection, job, means)).verdict;
    case "unusable":
      means.deadHosts.onAnswer(address);
      tried.refusals.push(opened.fate);
      tried.answered ||= opened.answered;
      return undefined;
    case "unreachable":
      if (opened.timedOut) means.deadHosts.onTimeout(address, means.watch.now());
      else means.deadHosts.onAnswer(address);
      tried.unreachable.push(`${address}: ${opened.why}`);
      return undefined;
    case "no TLS":
      note(means, job, target.demand, opened.fault.kind);
      means.deadHosts.onAnswer(address);
      tried.answered = true;
      tried.refusals.push(withoutTls(target, opened.fault));
      return undefined;
    default:
      return opened satisfies never;
  }
}

/** Of success without a policy there is nothing to tell. */
function note({ tlsResults }: Means, job: Job, { source }: TlsDemand, result: TlsFaultKind | "success"): void {
  const policy = source === "DANE" ? "tlsa" : source === "MTA-STS" ? "sts" : "no-policy-found";
  if (policy !== "no-policy-found" || result !== "success") tlsResults.note(domainOf(job), policy, result);
}

const domainOf = ({ transaction }: Job): string => splitAddress(transaction.forwardPaths[0] ?? "").domain;

/** The host will have TLS some day, or a certificate: nothing bounces for it, unless its sender wants just that. */
function withoutTls({ address, demand: { level, source } }: Target, { kind, text }: TlsFault): Fate {
  const demanded = level === "verify" ? "TLS with a certificate" : level === "dane" ? "TLS by DANE" : "TLS";
  const why = `Connected to ${address} but ${text}. ${source} demands ${demanded}.`;
  if (source === "REQUIRETLS") return failed("7.30", `${why} (#5.7.30)\n`);
  const status = kind === "starttls-not-supported" ? "7.4" : "7.5";
  return deferred(status, `${why} (#4.${status})\n`);
}

/** Opens a connection, with TLS if the peer offers it; in clear after all when that goes wrong and may. */
async function open(target: Target, job: Job, means: Means): Promise<{ connection: Connection; opened: Opened }> {
  let connection = new Connection(target, true, means);
  job.onConnection(connection);
  let opened = await connection.opened;
  const isWish = target.demand.level === "may" || target.demand.isTest === true;
  if (opened.kind === "no TLS" && isWish && !job.isAbandoned()) {
    note(means, job, target.demand, opened.fault.kind);
    connection = new Connection(target, false, means);
    job.onConnection(connection);
    opened = await connection.opened;
  }
  return { connection, opened };
}

async function transact(
  connection: Connection,
  job: Job,
  means: Means,
): Promise<{ readonly verdict: Verdict; readonly untouched: boolean }> {
  job.onConnection(connection);
  const whole = connection.offersXverp ? job.transaction : withOneReversePath(job.transaction);
  const transaction = firstRecipients(whole, connection.maxRecipients);
  const { fates, untouched } = await connection.deliver(transaction, job.body);
  if (connection.isOpen) means.idle.put(connection);
  const reached = connection.offersXverp ? expandsVerp : 1;
  const { name, protocol } = connection.target;
  const peer = { name, takesDsn: connection.offersDsn, isFinal: protocol === "LMTP" };
  const verdict = { fates, reached, peer, tried: transaction.forwardPaths.length } as const;
  const last = fates.at(-1);
  // The others get transactions of their own at once (RFC 9422 §4.2), but not where the peer has just gone away.
  if (connection.isOpen || last?.letter !== "Z") return { verdict, untouched };
  const shared = whole.forwardPaths.map((_, at) => fates[at] ?? last);
  return { verdict: { ...verdict, fates: shared, tried: shared.length }, untouched };
}

/** Of recipients that each want a reverse-path of their own, the first: the peer can give them only one. */
function withOneReversePath(transaction: Transaction): Transaction {
  const { reversePath, forwardPaths } = transaction;
  const [first = ""] = forwardPaths;
  if (forwardPaths.length === 1 || !isVerp(reversePath)) return transaction;
  return { ...firstRecipients(transaction, 1), reversePath: expandVerp(reversePath, first) };
}

/** Nobody took part. For good only if every host refused for good. */
function summary({ refusals, unreachable, answered }: Tried): Verdict {
  const reached = answered ? 1 : 2;
  const passing = refusals.find((fate) => fate.letter === "Z");
  const [lasting] = refusals;
  if (passing) return { fates: [passing], reached };
  if (lasting && unreachable.length === 0) return { fates: [lasting], reached };
  if (lasting?.status) return { fates: [deferred(lasting.status, lasting.text)], reached };
  const named = unreachable.slice(0, maxNamed).map((text) => `${text}\n`);
  const text = `Sorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n${named.join("")}`;
  return { fates: [deferred("4.1", text)], reached };
}

const fateOf = (failure: Failure): Fate =>
  failure.kind === "permanent" ? failed(failure.status, failure.text) : deferred(failure.status, failure.text);
