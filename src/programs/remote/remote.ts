import type { Settings } from "../../protocol/control/table.ts";
import type { Event } from "../../protocol/event/event.ts";
import { done, type Outcome } from "../../protocol/outcome.ts";
import { createDns, type Dns, type DnsOptions } from "../../services/dns/dns.ts";
import { createSecureDns } from "../../services/dns/secure-dns.ts";
import type { Fetched, FetchOptions } from "../../services/https/fetch-text.ts";
import type { Program } from "../../services/program/program.ts";
import type { Means } from "./attempt.ts";
import type { Config } from "./config.ts";
import { DeadHosts } from "./dead-hosts.ts";
import { Deliveries } from "./deliveries.ts";
import { IdleConnections } from "./idle.ts";
import { internet, type Network } from "./network.ts";
import { type KeptPolicy, StsPolicies } from "./sts-policies.ts";
import { TlsResults } from "./tls-results.ts";
import { Watch } from "./watch.ts";

export interface RemoteOptions {
  readonly config: Config;
  /** Reads new settings; when it fails the old ones stay. */
  readonly readConfig: (settings: Settings) => Outcome<Config>;
  readonly log: (event: Event) => void;
  /** 0 <= n < 1. */
  readonly random: () => number;
  /** Milliseconds that never go back. */
  readonly now: () => number;
  /** How exact deadlines are. */
  readonly tickMs: number;
  readonly world?: World;
}

/** What the program sees of the world beside `queue`. */
export interface World {
  readonly network: Network;
  /** `secure`: whether the servers are believed what they say of DNSSEC. */
  createDns(options: DnsOptions, secure: boolean): Outcome<Dns>;
  fetch(options: FetchOptions): Promise<Fetched>;
  /** Calls `call` each `ms` until what it returns is called; keeps nothing alive. */
  every(ms: number, call: () => void): () => void;
}

const realWorld: World = {
  network: internet,
  createDns: (options, secure) => (secure ? createSecureDns(options) : createDns(options)),
  // Loaded when first used.
  fetch: async (options) => (await import("../../services/https/fetch-text.ts")).fetchText(options),
  every(ms, call) {
    const timer = setInterval(call, ms).unref();
    return () => clearInterval(timer);
  },
};

/** The program: takes deliveries from `queue`, and answers each exactly once. Fails when it is configured wrongly. */
export function createRemote(options: RemoteOptions): Outcome<Program> {
  const { config, readConfig, log, random, now, tickMs, world = realWorld } = options;
  const watch = new Watch(now, (tick) => world.every(tickMs, tick));
  const tlsResults = new TlsResults();
  const lasting: Lasting = { world, watch, random, tlsResults, keptPolicies: new Map() };
  const gather = (fresh: Config) => gatherMeans(fresh, lasting);
  const logResults = () => tlsResults.take().forEach(log);
  const stopLogging = world.every(resultsMs, logResults);
  const gathered = gather(config);
  if (gathered.kind !== "done") return gathered;
  let means = gathered.value;
  const deliveries = new Deliveries(() => means);
  return done({
    peer(name, socket) {
      if (name === "queue") deliveries.serve(socket);
      else socket.destroy();
    },
    reload(settings) {
      const read = readConfig(settings);
      const fresh = read.kind === "done" ? gather(read.value) : read;
      if (fresh.kind !== "done") {
        log({ event: "warning", text: `remote keeps its old settings: ${fresh.text}` });
        return;
      }
      means.idle.close();
      means = fresh.value;
      log({ event: "reloaded" });
    },
    async stop() {
      await deliveries.stop(means.config.stopMs);
      means.idle.close();
      means.dns.close();
      stopLogging();
      logResults();
      watch[Symbol.dispose]();
    },
  });
}

/** How often totals of TLS are logged. */
const resultsMs = 3_600_000;

interface Lasting {
  readonly world: World;
  readonly watch: Watch;
  readonly random: () => number;
  readonly tlsResults: TlsResults;
  readonly keptPolicies: Map<string, KeptPolicy>;
}

/** Forgets which hosts were dead and what DNS said, but no policy: `reload` is how to say that the network is back. */
function gatherMeans(config: Config, { world, watch, random, tlsResults, keptPolicies }: Lasting): Outcome<Means> {
  const { nameservers, dnsTimeoutMs: timeoutMs, usesDnssec, authorities, isOwn, httpsPort } = config;
  const dns = world.createDns({ nameservers, timeoutMs }, usesDnssec);
  if (dns.kind !== "done") return dns;
  const sts = new StsPolicies({
    ...{ dns: dns.value, authorities, isOwn, port: httpsPort, now: watch.now, kept: keptPolicies },
    fetch: (options) => world.fetch(options),
    onFault: (domain, kind) => tlsResults.note(domain, "sts", kind),
  });
  return done({
    config,
    dns: dns.value,
    idle: new IdleConnections(),
    deadHosts: new DeadHosts(random()),
    watch,
    network: world.network,
    random,
    tlsResults,
    ...(config.usesSts && { sts }),
  });
}
