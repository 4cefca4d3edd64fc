import { Buffer } from "node:buffer";
import { readCdb } from "../cdb/read.ts";
import { done, type Outcome, permanent } from "../outcome.ts";
import { type Network, networkOf, parseIp } from "./network.ts";

/** What one line says of the clients it is for. */
export interface ClientRule {
  /** As it stands in the file: up to the colon. */
  readonly address: string;
  readonly allowed: boolean;
  readonly variables: ReadonlyMap<string, string>;
}

export interface ClientRules {
  /** The rule for a client, by its address as the system writes it: the narrowest that it is in. */
  find(address: string): ClientRule | undefined;
  readonly all: readonly ClientRule[];
}

/**
 * Reads lines in tcprules' form: `address:allow` or `address:deny`, then any `,NAME="value"`, where the first character
 * of the value is what ends it. An address is `192.0.2.1`, a range of its last number `192.0.2.1-9`, a prefix `192.0.`
 * (also as a range, `192.0-7.`), a network `192.0.2.0/24`, IPv6 in brackets, `[2001:db8::]/32`, or empty for everybody.
 * Of several rules for the same clients the first counts. Fails with all lines that are none; rules by host name
 * (`=host`) or by what a client says of itself (`user@`) are among those: we look neither up.
 */
export function createClientRules(lines: readonly string[]): Outcome<ClientRules> {
  const wrong: string[] = [];
  const all: ClientRule[] = [];
  const byBits = new Map<number, Map<string, ClientRule>>();
  for (const line of lines) {
    const rule = parseRule(line);
    const networks = rule && networksOf(rule.address);
    if (!rule || !networks) {
      wrong.push(
        `${JSON.stringify(line)} is not ${rule ? "for an address we can compare" : 'ADDRESS:allow,NAME="value"'}`,
      );
      continue;
    }
    all.push(rule);
    for (const { octets, bits } of networks) {
      const rules = byBits.get(bits) ?? new Map<string, ClientRule>();
      const key = maskedKey(octets, bits);
      if (!rules.has(key)) rules.set(key, rule);
      byBits.set(bits, rules);
    }
  }
  if (wrong.length > 0) return permanent("3.5", wrong.join("; "));
  const narrowestFirst = [...byBits].sort(([one], [other]) => other - one);
  return done({
    all,
    find(address) {
      const ip = narrowestFirst.length > 0 ? parseIp(address) : undefined;
      if (!ip) return byBits.get(0)?.get(maskedKey(new Uint8Array(16), 0));
      for (const [bits, rules] of narrowestFirst) {
        const rule = rules.get(maskedKey(ip.octets, bits));
        if (rule) return rule;
      }
      return undefined;
    },
  });
}

/**
 * A cdb made by tcprules, as lines that `createClientRules` reads. Rules by host name or by ident are not among them.
 * Fails, for now, when the file is damaged.
 */
export function clientRuleLines(file: Buffer): Outcome<readonly string[]> {
  const read = readCdb(file);
  if (read.kind !== "done") return read;
  return done(
    [...read.value].filter(([address]) => !/[=@]/.test(address)).map(([address, data]) => lineOf(address, data)),
  );
}

function lineOf(address: string, data: string): string {
  const instructions = data.split("\0");
  const variables = instructions.filter((one) => one.startsWith("+") && one.includes("="));
  const texts = variables.map((one) => {
    const equals = one.indexOf("=");
    const value = one.slice(equals + 1);
    const quote = ['"', "'", "/", "|", "\x01"].find((mark) => !value.includes(mark)) ?? "\x02";
    return `,${one.slice(1, equals)}=${quote}${value}${quote}`;
  });
  return `${address.includes(":") ? `[${address}]` : address}:${instructions.includes("D") ? "deny" : "allow"}${texts.join("")}`;
}

function parseRule(line: string): ClientRule | undefined {
  const colon = line.startsWith("[") ? line.indexOf(":", line.indexOf("]") + 1) : line.indexOf(":");
  const action = /^(allow|deny)(?=,|$)/.exec(line.slice(colon + 1))?.[1];
  if (colon < 0 || action === undefined) return undefined;
  const variables = new Map<string, string>();
  let at = colon + 1 + action.length;
  while (at < line.length) {
    const equals = line.indexOf("=", at);
    const end = equals < 0 ? -1 : line.indexOf(line.charAt(equals + 1), equals + 2);
    if (line.charAt(at) !== "," || equals < at + 2 || end < 0) return undefined;
    variables.set(line.slice(at + 1, equals), line.slice(equals + 2, end));
    at = end + 1;
  }
  return { address: line.slice(0, colon), allowed: action === "allow", variables };
}

/** Octets are those of an IPv6 address: what is IPv4 begins at bit 96. */
function networksOf(address: string): readonly Network[] | undefined {
  if (address === "") return [{ octets: new Uint8Array(16), bits: 0 }];
  if (address.startsWith("[")) {
    const network = networkOf(address.replace(/[[\]]/g, ""));
    return network && [network];
  }
  if (address.includes(":")) return undefined;
  if (address.includes("/")) {
    const network = networkOf(address);
    return network && [network];
  }
  const isPrefix = address.endsWith(".");
  const numbers = (isPrefix ? address.slice(0, -1) : address).split(".");
  const [, low, high = low] = /^([0-9]{1,3})(?:-([0-9]{1,3}))?$/.exec(numbers.pop() ?? "") ?? [];
  if (low === undefined || (isPrefix ? numbers.length > 2 : numbers.length !== 3)) return undefined;
  const networks: Network[] = [];
  for (let number = Number(low); number <= Number(high); number++) {
    const four = [...numbers, String(number), "0", "0", "0"].slice(0, 4).join(".");
    const network = networkOf(`${four}/${(numbers.length + 1) * 8}`);
    if (!network) return undefined;
    networks.push(network);
  }
  return networks.length > 0 ? networks : undefined;
}

function maskedKey(octets: Uint8Array, bits: number): string {
  const whole = bits >> 3;
  const key = Buffer.from(octets.subarray(0, whole)).toString("latin1");
  const rest = bits & 7;
  return rest === 0 ? key : key + String.fromCharCode((octets[whole] ?? 0) >> (8 - rest));
}
