import { asciiLowerCase } from "../address.ts";
import { domainOf } from "./router.ts";

/** The entry that names an address, in lower case, or `undefined`. */
export type AddressList = (address: string) => string | undefined;

/**
 * Reads the lines of badmailfrom and badrcptto: `user@domain`, `@domain`, `@.domain` for all below it, `user@` at any
 * domain; in any case. A few look-ups for each label of the domain.
 */
export function createAddressList(lines: readonly string[]): AddressList {
  const entries = new Set(lines.map(asciiLowerCase));
  if (entries.size === 0) return () => undefined;
  return (address) => {
    const whole = asciiLowerCase(address);
    const at = whole.lastIndexOf("@");
    const domain = domainOf(address);
    const candidates = [whole, ...(at < 0 ? [] : [`@${domain}`, whole.slice(0, at + 1)])];
    for (let dot = domain.indexOf("."); dot >= 0; dot = domain.indexOf(".", dot + 1)) {
      candidates.push(`@${domain.slice(dot)}`);
    }
    return candidates.find((candidate) => entries.has(candidate) && candidate !== "@");
  };
}
