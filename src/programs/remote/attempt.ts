import { splitAddress } from "../../protocol/address.ts";
import type { Host } from "../../protocol/mx/choose.ts";
import { prefersQmtp } from "../../protocol/mx/mxps.ts";
import type { Failure } from "../../protocol/outcome.ts";
import type { Transaction } from "../../protocol/smtp/client.ts";
import { deferred, type Fate, failed } from "../../protocol/smtp/client-fate.ts";
import { expandVerp, isVerp } from "../../protocol/verp.ts";
import { expandsVerp } from "../../protocol/wire/delivery.ts";
import type { Dns } from "../../services/dns/dns.ts";
import type { Body } from "./body.ts";
import { Connection, type Opened, type Shared, type Target } from "./connection.ts";
import type { DeadHosts } from "./dead-hosts.ts";
import { type Destination, findHosts } from "./hosts.ts";
import type { IdleConnections } from "./idle.ts";
import { QmtpDelivery, type QmtpResult } from "./qmtp.ts";

/** What deliveries share. */
export interface Means extends Shared {
  readonly dns: Dns;
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
  const found = await findHosts(domain, means.config, means.dns, means.random);
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
  { port, protocol }: Destination,
  means: Means,
  tried: Tried,
): Promise<Verdict | undefined> {
  const { name, address, preference } = host;
  if (protocol === "QMTP") {
    const result = await byQmtp(job, { name, address, port }, means);
    if (result.kind === "unreachable") tried.unreachable.push(`${address}: ${result.why}`);
    return result.kind === "answered" ? result.verdict : undefined;
  }
  if (protocol === "by preference" && prefersQmtp(preference)) {
    const result = await byQmtp(job, { name, address, port: means.config.qmtpPort }, means);
    if (result.kind === "answered") return result.verdict;
    if (job.isAbandoned()) return undefined;
  }
  return await trySmtp(job, { name, address, port }, means, tried);
}

type ByQmtp =
  | { readonly kind: "answered"; readonly verdict: Verdict }
  | (QmtpResult & { readonly kind: "unreachable" });

async function byQmtp(job: Job, target: Target, means: Means): Promise<ByQmtp> {
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
  return { kind: "answered", verdict: { fates: result.fates, reached: 1, tried: transaction.forwardPaths.length } };
}

const tooSoon = "not tried again so soon after its timeouts";

async function trySmtp(job: Job, target: Target, means: Means, tried: Tried): Promise<Verdict | undefined> {
  const { address } = target;
  const kept = means.idle.take(target);
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
      tried.unreachable.push(`${address}: TLS failed`);
      return undefined;
    default:
      return opened satisfies never;
  }
}

/** Opens a connection, with TLS if the peer offers it; in clear after all when that goes wrong. */
async function open(target: Target, job: Job, means: Means): Promise<{ connection: Connection; opened: Opened }> {
  let connection = new Connection(target, true, means);
  job.onConnection(connection);
  let opened = await connection.opened;
  if (opened.kind === "no TLS" && !job.isAbandoned()) {
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
  const transaction = connection.offersXverp ? job.transaction : withOneReversePath(job.transaction);
  const { fates, untouched } = await connection.deliver(transaction, job.body);
  if (connection.isOpen) means.idle.put(connection);
  const reached = connection.offersXverp ? expandsVerp : 1;
  return { verdict: { fates, reached, tried: transaction.forwardPaths.length }, untouched };
}

/** Of recipients that each want a reverse-path of their own, the first: the peer can give them only one. */
function withOneReversePath(transaction: Transaction): Transaction {
  const { reversePath, forwardPaths } = transaction;
  const [first = ""] = forwardPaths;
  if (forwardPaths.length === 1 || !isVerp(reversePath)) return transaction;
  return { ...transaction, reversePath: expandVerp(reversePath, first), forwardPaths: [first] };
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
