import { connect } from "node:net";
import type { Duplex } from "node:stream";

/** A connection with another server, not yet connected when we get it. Emits "connect", or "secureConnect" after TLS. */
export interface Wire extends Duplex {
  /** Ends it once all that was written has left. */
  destroySoon(): void;
}

/** How `remote` reaches other servers. Simulations bring their own. */
export interface Network {
  connect(address: string, port: number): Wire;
  /** The client's end of TLS over a connected wire; `name` is that of the peer. */
  secure(plain: Wire, name: string): Promise<Wire>;
}

export const internet: Network = {
  connect: (address, port) => connect({ host: address, port, noDelay: true }),
  // Loaded when first used: the library costs some 8 MB.
  secure: async (plain, name) => (await import("./tls.ts")).secure(plain, name),
};
