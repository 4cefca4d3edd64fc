import { createMeter, type Meter } from "../../protocol/limits/meter.ts";
import { clientOf, parseIp } from "../../protocol/network/network.ts";

/** Failed logins of an hour after which no more are looked at; 0 for no limit. */
export interface GuessLimits {
  readonly perAddress: number;
  readonly perNetwork: number;
  readonly perAccount: number;
}

export interface Guesses {
  /** Why a try is not even looked at, in words; `undefined` when it is. */
  refusal(address: string, account: string): string | undefined;
  /** Who that is: a client, on this host an account. */
  who(address: string, account: string): string;
  /** Counts a failed login, and says how long its answer is to be held back. */
  failed(address: string, account: string): number;
  /** From that network the account is used: others' guesses do not shut it there. */
  succeeded(address: string, account: string): void;
  limit(limits: GuessLimits): void;
}

const maxKeys = 50_000;
const leastDelayMs = 1_000;
const longestDelayMs = 16_000;
/** After so long without a failure answers are as quick as at first. */
const forgivenMs = 900_000;

interface Slowed {
  readonly delayMs: number;
  readonly atMs: number;
}

/**
 * Counts guesses at passwords by client (IPv6: the /64), network (IPv4: /24, IPv6: /48) and account. Answers to a client
 * that goes on get slower. This host counts by account only: a webmail has all its users at one address.
 */
export function createGuesses(limits: GuessLimits, nowMs: () => number): Guesses {
  const byClient = createMeter(limits.perAddress, maxKeys);
  const byNetwork = createMeter(limits.perNetwork, maxKeys);
  const byAccount = createMeter(limits.perAccount, maxKeys);
  const slowed = new Map<string, Slowed>();
  const known = new Map<string, true>();
  const whoIs = (address: string, account: string): string => placesOf(address).client || account;
  const isOver = (meter: Meter, key: string): boolean => key !== "" && meter.exceeds(key, 1, nowMs() / 1_000);

  return {
    refusal(address, account) {
      const { client, network } = placesOf(address);
      if (isOver(byClient, client)) return "too many failed logins from this address";
      if (isOver(byNetwork, network)) return "too many failed logins from this network";
      if (known.has(`${network} ${account}`) || !isOver(byAccount, account)) return undefined;
      return "too many failed logins to this account";
    },
    who: whoIs,
    failed(address, account) {
      const { client, network } = placesOf(address);
      const counted = [
        [byClient, client],
        [byNetwork, network],
        [byAccount, account],
      ] as const;
      for (const [meter, key] of counted) if (key !== "") meter.add(key, 1, nowMs() / 1_000);
      const who = whoIs(address, account);
      const before = slowed.get(who);
      const isAgain = before && nowMs() - before.atMs < forgivenMs;
      const delayMs = isAgain ? Math.min(before.delayMs * 2, longestDelayMs) : leastDelayMs;
      put(slowed, who, { delayMs, atMs: nowMs() });
      return delayMs;
    },
    succeeded(address, account) {
      put(known, `${placesOf(address).network} ${account}`, true);
    },
    limit(fresh) {
      byClient.limit(fresh.perAddress);
      byNetwork.limit(fresh.perNetwork);
      byAccount.limit(fresh.perAccount);
    },
  };
}

/** Forgets who was put there longest ago. */
function put<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  const [oldest] = map.size >= maxKeys ? map.keys() : [];
  if (oldest !== undefined) map.delete(oldest);
  map.set(key, value);
}

/** The keys of an address; "" where it does not count. */
function placesOf(address: string): { readonly client: string; readonly network: string } {
  const ip = parseIp(address);
  if (!ip || isLoopback(ip)) return { client: "", network: "" };
  const { family, octets } = ip;
  const network = family === 4 ? `${octets.subarray(12, 15).join(".")}/24` : `${octets.subarray(0, 6).join(".")}/48`;
  return { client: clientOf(address), network };
}

const isLoopback = ({ family, octets }: NonNullable<ReturnType<typeof parseIp>>): boolean =>
  family === 4 ? octets[12] === 127 : octets.every((octet, at) => octet === (at === 15 ? 1 : 0));
