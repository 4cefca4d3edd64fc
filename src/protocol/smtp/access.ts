import type { Settings } from "../control/table.ts";
import { createNetworks } from "../network/network.ts";

/** What AUTH (RFC 4954) is for a client now. */
export interface Access {
  /** What it may log in with; none: AUTH is not offered. */
  readonly mechanisms: readonly string[];
  /** It could, if it asked for TLS first. */
  readonly needsTls: boolean;
  /** Who it has shown to be. */
  readonly account: string | undefined;
  /** Mail is taken from accounts only (RFC 6409 §4.3), and from those who may relay anyway. */
  readonly isRequired: boolean;
}

export const noAccess: Access = { mechanisms: [], needsTls: false, account: undefined, isRequired: false };

export type AccessSettings = Pick<Settings, "authmechanisms" | "authwithouttls" | "authonport25">;

/** How a client came. */
export interface Way {
  readonly service: string;
  readonly address: string;
  readonly tls: "none" | "offered" | "on";
  /** It can bind a login to its TLS connection (RFC 9266). */
  readonly hasExporter: boolean;
}

const loopback = createNetworks(["127.0.0.0/8", "::1"]);
const isLoopback = (address: string): boolean => loopback.kind === "done" && loopback.value.has(address);

/** On submission and with TLS from the start AUTH is there and required, on port 25 if switched on; never in the clear but from this host, if switched on. */
export function accessFor({ service, address, tls, hasExporter }: Way, settings: AccessSettings): Access {
  const isRequired = service === "submission" || service === "smtps";
  if (!isRequired && !(service === "smtp" && settings.authonport25 === 1)) return noAccess;
  const isSafe = tls === "on" || (settings.authwithouttls === 1 && isLoopback(address));
  return {
    mechanisms: isSafe
      ? settings.authmechanisms
          .map((name) => name.toUpperCase())
          .filter((name) => hasExporter || !name.endsWith("-PLUS"))
      : [],
    needsTls: !isSafe && tls === "offered",
    account: undefined,
    isRequired,
  };
}

/** What `authmechanisms` may name. */
export const knownMechanisms: readonly string[] = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN", "CRAM-MD5"];
