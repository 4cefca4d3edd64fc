import { Duplex } from "node:stream";
import type { Network, SecureWire, Wire } from "../../../src/programs/remote/network.ts";
import type { Exchange } from "../../../src/protocol/mx/choose.ts";
import type { Answer, Dns } from "../../../src/services/dns/dns.ts";
import type { Random } from "../random.ts";
import type { Life, Timeline } from "../timeline.ts";
import { Judge } from "./judge.ts";
import type { Ledger } from "./ledger.ts";
import { type Manners, Peer } from "./peer.ts";
import { SimulatedWire } from "./wire.ts";

export const domains = ["a.example", "b.example", "c.example", "null.example", "none.example"] as const;
const exchanges: Readonly<Record<string, readonly Exchange[]>> = {
  "a.example": [{ name: "mx1.example", preference: 10 }],
  "b.example": [
    { name: "mx1.example", preference: 10 },
    { name: "mx2.example", preference: 10 },
    { name: "mx3.example", preference: 20 },
  ],
  "null.example": [{ name: "", preference: 0 }],
};
const addresses: Readonly<Record<string, readonly string[]>> = {
  "mx1.example": ["192.0.2.1", "192.0.2.2"],
  "mx2.example": ["192.0.2.3"],
  "mx3.example": ["192.0.2.4"],
  "c.example": ["192.0.2.5"],
};

/** The addresses that a domain's mail may go to. */
export const hostsOf = (domain: string): readonly string[] =>
  (exchanges[domain] ?? [{ name: domain }]).flatMap(({ name }) => addresses[name] ?? []);

/** Probabilities and seeds of what the world does. */
export interface Weather {
  readonly random: Random;
  readonly timeline: Timeline;
  readonly life: Life;
  readonly ledger: Ledger;
  readonly silenceMs: number;
  readonly changed: { sends(octets: Buffer): Buffer; hears(octets: Buffer): Buffer };
  happens(fault: "refuse" | "unreachable" | "dns" | "tls"): boolean;
  mannersOf(address: string): Manners;
}

/** DNS that knows a few names, now and then answers late or not, and says what it said to the ledger. */
export function simulatedDns({ random, timeline, life, ledger, happens }: Weather): Dns {
  const answer = async <Value>(known: readonly Value[] | undefined, hopeless: () => void): Promise<Answer<Value>> => {
    const delayMs = random.chance(0.1) ? 20_000 * random.next() : 30;
    await new Promise((resolve) => timeline.after(delayMs, life, () => resolve(undefined)));
    if (happens("dns")) return { kind: "unknown", why: random.pick(["SERVFAIL", "timeout"]) };
    if (known) return { kind: "found", values: known };
    hopeless();
    return { kind: "none" };
  };
  return {
    mx: (name) => {
      if (name === "null.example") ledger.hopeless.add(name);
      return answer(exchanges[name], () => {});
    },
    addresses: (name) => answer(addresses[name], () => ledger.hopeless.add(name)),
    texts: async () => ({ kind: "none" }),
    tlsa: async () => ({ kind: "none" }),
    close() {},
  };
}

/** All servers there are. `open` are the connections that are. */
export function simulatedNetwork(weather: Weather, open: Set<SimulatedWire>): Network {
  const { random, timeline, life, ledger, changed, silenceMs, happens, mannersOf } = weather;
  const ends = new WeakMap<Wire, { readonly peer: Peer; readonly judge: Judge }>();
  const wireTo = (): SimulatedWire => {
    const wire = new SimulatedWire(timeline, life, 1 + random.below(100), changed);
    open.add(wire);
    wire.once("close", () => open.delete(wire));
    return wire;
  };
  return {
    connect(address) {
      const wire = wireTo();
      if (happens("unreachable")) return wire;
      if (happens("refuse")) {
        wire.hangUp("ECONNREFUSED");
        return wire;
      }
      wire.established("connect");
      const judge = new Judge(wire, address, { timeline, ledger, silenceMs });
      wire.witness = judge;
      ends.set(wire, { peer: new Peer(wire, timeline, mannersOf(address)), judge });
      return wire;
    },
    async secure(plain) {
      const end = ends.get(plain);
      const wire = plain as SimulatedWire;
      const secured = new SecuredWire(wire);
      timeline.after(20, life, () => {
        if (wire.destroyed || !end?.peer.secured()) return;
        end.judge.secured();
        secured.emit("secureConnect");
      });
      return secured;
    },
  };
}

/** TLS without the secrets: what is said goes through. */
class SecuredWire extends Duplex implements SecureWire {
  readonly #plain: SimulatedWire;

  constructor(plain: SimulatedWire) {
    super({ allowHalfOpen: false });
    this.#plain = plain;
    plain.on("data", (chunk: Buffer) => this.push(chunk));
    plain.on("end", () => this.push(null));
    plain.on("close", () => this.destroy());
    plain.resume();
  }

  fault(): undefined {}
  override _read(): void {}
  override write(chunk: Buffer | string): boolean {
    return super.write(this.#plain.leaving(chunk));
  }
  override _write(chunk: Buffer, _: string, taken: (error?: Error | null) => void): void {
    this.#plain.pass(chunk, taken);
  }
  override _final(taken: () => void): void {
    this.#plain.end(taken);
  }
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#plain.destroy();
    done(error);
  }
  destroySoon(): void {
    if (this.writableFinished) this.destroy();
    else this.end(() => this.destroy());
  }
}
