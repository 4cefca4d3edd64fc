import type { Settings } from "../../protocol/control/table.ts";
import type { Event } from "../../protocol/event/event.ts";
import { done, type Outcome } from "../../protocol/outcome.ts";
import { createDns, type Dns, type DnsOptions } from "../../services/dns/dns.ts";
import type { Program } from "../../services/program/program.ts";
import type { Means } from "./attempt.ts";
import type { Config } from "./config.ts";
import { DeadHosts } from "./dead-hosts.ts";
import { Deliveries } from "./deliveries.ts";
import { IdleConnections } from "./idle.ts";
import { internet, type Network } from "./network.ts";
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
  createDns(options: DnsOptions): Outcome<Dns>;
  /** Calls `call` each `ms` until what it returns is called; keeps nothing alive. */
  every(ms: number, call: () => void): () => void;
}

const realWorld: World = {
  network: internet,
  createDns,
  every(ms, call) {
    const timer = setInterval(call, ms).unref();
    return () => clearInterval(timer);
  },
};

/** The program: takes deliveries from `queue`, and answers each exactly once. Fails when it is configured wrongly. */
export function createRemote(options: RemoteOptions): Outcome<Program> {
  const { config, readConfig, log, random, now, tickMs, world = realWorld } = options;
  const watch = new Watch(now, (tick) => world.every(tickMs, tick));
  const gather = (fresh: Config) => gatherMeans(fresh, world, watch, random);
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
      watch[Symbol.dispose]();
    },
  });
}

/** Also forgets which hosts were dead and what DNS said: `reload` is how to say that the network is back. */
function gatherMeans(config: Config, world: World, watch: Watch, random: () => number): Outcome<Means> {
  const dns = world.createDns({ nameservers: config.nameservers, timeoutMs: config.dnsTimeoutMs });
  if (dns.kind !== "done") return dns;
  return done({
    config,
    dns: dns.value,
    idle: new IdleConnections(),
    deadHosts: new DeadHosts(random()),
    watch,
    network: world.network,
    random,
  });
}
