import { clientOf } from "../../protocol/network/network.ts";

/** Counts connections, in all and for each client, and says when there are too many. */
export interface Admission {
  /** Takes a place for a connection from `address`; false when there is none. */
  enter(address: string): boolean;
  /** Gives back a place that was taken. */
  leave(address: string): void;
  limit(limits: AdmissionLimits): void;
}

export interface AdmissionLimits {
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
}

/** Part of all places kept for clients that have no connection yet: a few cannot keep out the many. */
const reserved = 0.2;

export function createAdmission(initial: AdmissionLimits): Admission {
  let limits = initial;
  let connections = 0;
  const clients = new Map<string, number>();
  return {
    enter(address) {
      const client = clientOf(address);
      const its = clients.get(client) ?? 0;
      const free = limits.maxConnections - connections;
      if (free <= 0 || its >= limits.maxConnectionsPerAddress) return false;
      if (its > 0 && free <= Math.floor(limits.maxConnections * reserved)) return false;
      connections++;
      clients.set(client, its + 1);
      return true;
    },
    leave(address) {
      const client = clientOf(address);
      const its = clients.get(client) ?? 0;
      connections--;
      if (its > 1) clients.set(client, its - 1);
      else clients.delete(client);
    },
    limit(fresh) {
      limits = fresh;
    },
  };
}
