import type { Settings } from "../../protocol/control/table.ts";
import type { Event } from "../../protocol/event/event.ts";
import { done, type Outcome } from "../../protocol/outcome.ts";
import { createDns } from "../../services/dns/dns.ts";
import type { Program } from "../../services/program/program.ts";
import type { Means } from "./attempt.ts";
import type { Config } from "./config.ts";
import { DeadHosts } from "./dead-hosts.ts";
import { Deliveries } from "./deliveries.ts";
import { IdleConnections } from "./idle.ts";
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
}

/** The program: takes deliveries from `queue`, and answers each exactly once. Fails when it is configured wrongly. */
export function createRemote({ config, readConfig, log, random, now, tickMs }: RemoteOptions): Outcome<Program> {
  const watch = new Watch(tickMs, now);
  const gathered = gatherMeans(config, watch, random);
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
      const fresh = read.kind === "done" ? gatherMeans(read.value, watch, random) : read;
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
function gatherMeans(config: Config, watch: Watch, random: () => number): Outcome<Means> {
  const dns = createDns({ nameservers: config.nameservers, timeoutMs: config.dnsTimeoutMs });
  if (dns.kind !== "done") return dns;
  return done({
    config,
    dns: dns.value,
    idle: new IdleConnections(),
    deadHosts: new DeadHosts(random()),
    watch,
    random,
  });
}
