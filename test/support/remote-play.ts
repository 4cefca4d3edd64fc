import type { Config } from "../../src/programs/remote/config.ts";
import { createRemote } from "../../src/programs/remote/remote.ts";
import type { Settings } from "../../src/protocol/control/table.ts";
import type { Event } from "../../src/protocol/event/event.ts";
import { done } from "../../src/protocol/outcome.ts";
import type { Program } from "../../src/services/program/program.ts";
import { type DeliveryQueue, startDeliveryQueue } from "./delivery-queue.ts";
import { type DnsRecord, type DnsRule, type DnsServer, startDnsServer } from "./dns-server.ts";
import { type PeerOptions, type SmtpPeer, startSmtpPeer } from "./smtp-peer.ts";

export const mx = (preference: number, exchange: string): DnsRecord => ({ type: "MX", preference, exchange });
export const a = (...addresses: string[]): DnsRule => ({
  kind: "answer",
  records: addresses.map((address) => ({ type: "A", address })),
});
export const aaaa = (address: string): DnsRule => ({ kind: "answer", records: [{ type: "AAAA", address }] });
export const answer = (...records: DnsRecord[]): DnsRule => ({ kind: "answer", records });
type Rules = Readonly<Record<string, DnsRule>>;

/** d.example has one exchanger at 127.0.0.2; two.example another one at 127.0.0.3, less preferred. */
const usualRules: Rules = {
  "d.example MX": answer(mx(10, "mx1.example")),
  "two.example MX": answer(mx(10, "mx1.example"), mx(20, "mx2.example")),
  "mx1.example A": a("127.0.0.2"),
  "mx2.example A": a("127.0.0.3"),
  "self.example A": a("127.0.0.1"),
};

export interface Given {
  readonly rules?: Rules;
  /** By address; all on one port. One at 127.0.0.2 unless told otherwise. */
  readonly peers?: Readonly<Record<string, PeerOptions>>;
  readonly config?: Partial<Config>;
  /** Routes to where the peers are. */
  readonly routeTo?: (port: number) => Config["routes"];
  readonly random?: () => number;
  readonly log?: (event: Event) => void;
}

export interface Playing extends AsyncDisposable {
  readonly queue: DeliveryQueue;
  readonly program: Program;
  readonly asked: readonly string[];
  readonly rules: DnsServer["rules"];
  /** As by a reload: DNS is asked again. */
  forgetDns(): void;
  readonly port: number;
  peer(address?: string): SmtpPeer;
}

/** The whole program in this process, with DNS and peers on loopback; 127.0.0.1 counts as its own address. */
export async function play({
  rules = {},
  peers = { "127.0.0.2": {} },
  config = {},
  routeTo = () => new Map(),
  random = () => 0,
  log = () => {},
}: Given): Promise<Playing> {
  const stack = new AsyncDisposableStack();
  const dns = stack.use(await startDnsServer(Object.entries({ ...usualRules, ...rules })));
  const started = new Map<string, SmtpPeer>();
  let port = 0;
  for (const [address, options] of Object.entries(peers)) {
    const peer = stack.use(await startSmtpPeer({ ...options, address, port }));
    started.set(address, peer);
    port = peer.port;
  }
  const queue = stack.use(await startDeliveryQueue());
  const whole: Config = {
    heloHost: "us.example",
    routes: routeTo(port),
    qmtpRoutes: new Map(),
    lmtpRoutes: new Map(),
    tlsRules: new Map(),
    authorities: [],
    logins: new Map(),
    usesDnssec: false,
    usesSts: false,
    httpsPort: 443,
    nameservers: [dns.address],
    dnsTimeoutMs: 250,
    isOwn: (address) => address === "127.0.0.1",
    prefersIpv6: false,
    smtpPort: port || 9,
    qmtpPort: 9,
    connectTimeoutMs: 10_000,
    silenceTimeoutMs: 10_000,
    idleMs: 5_000,
    stopMs: 0,
    ...config,
  };
  const made = createRemote({
    config: whole,
    readConfig: () => done(whole),
    log,
    random,
    now: () => performance.now(),
    tickMs: 5,
  });
  if (made.kind !== "done") throw new Error(made.text);
  const program = made.value;
  stack.defer(() => program.stop());
  program.peer?.("queue", queue.programEnd);
  return {
    queue,
    program,
    asked: dns.asked,
    rules: dns.rules,
    forgetDns: () => program.reload?.({} as Settings, []),
    port,
    peer(address = "127.0.0.2") {
      const peer = started.get(address);
      if (!peer) throw new Error(`no peer at ${address}`);
      return peer;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export const said = (reply: string) => `Remote host said: ${reply}\n`;
export const accepted = (ip = "127.0.0.2") => `K ${ip} accepted message.\n${said("250 2.0.0 taken")}`;
export const died = (why: string) => `Z4.2 Connected to 127.0.0.2 but connection died. (#4.4.2)\n${why}\n`;
export const inDoubt = (why: string) =>
  `Z4.2 Connected to 127.0.0.2 but connection died. Possible duplicate! (#4.4.2)\n${why}\n`;
export const reset = "connection reset by the peer";
