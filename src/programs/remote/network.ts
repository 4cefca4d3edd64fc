import { connect } from "node:net";
import type { Duplex } from "node:stream";
import type { TlsDemand, TlsFault } from "../../protocol/tls-policy/demand.ts";

/** A connection with another server, not yet connected when we get it. Emits "connect", or "secureConnect" after TLS. */
export interface Wire extends Duplex {
  /** Ends it once all that was written has left. */
  destroySoon(): void;
}

/** A wire that does TLS. */
export interface SecureWire extends Wire {
  /** After "secureConnect": what of `demand` the peer has not met. */
  fault(demand: TlsDemand): TlsFault | undefined;
}

/** How `remote` reaches other servers. Simulations bring their own. */
export interface Network {
  connect(address: string, port: number): Wire;
  /** The client's end of TLS over a connected wire; `name` is that of the peer, `authorities` whom we believe. */
  secure(plain: Wire, name: string, demand: TlsDemand, authorities: readonly string[]): Promise<SecureWire>;
}

export const internet: Network = {
  connect: (address, port) => connect({ host: address, port, noDelay: true }),
  // Loaded when first used: the library costs some 8 MB.
  async secure(plain, name, demand, authorities) {
    const { secure, tlsFault } = await import("./tls.ts");
    const socket = secure(plain, name, demand, authorities);
    return Object.assign(socket, { fault: (demanded: TlsDemand) => tlsFault(socket, demanded) });
  },
};
