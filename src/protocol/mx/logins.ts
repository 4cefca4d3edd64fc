import { asciiLowerCase } from "../address.ts";
import { done, type Outcome, permanent } from "../outcome.ts";
import type { Login } from "../smtp/login.ts";

/** Reads the entries of control/smtplogins, `relay:user:password`, by relay. Fails, for good; the text holds no password. */
export function parseLogins(entries: readonly (readonly [string, string])[]): Outcome<ReadonlyMap<string, Login>> {
  const logins = new Map<string, Login>();
  for (const [relay, value] of entries) {
    const colon = value.indexOf(":");
    const login = { user: value.slice(0, Math.max(0, colon)), password: value.slice(colon + 1) };
    const isSound = relay !== "" && login.user !== "" && login.password !== "" && !value.includes("\0");
    if (!isSound) return permanent("3.5", `the entry for "${relay}" is not relay:user:password`);
    logins.set(asciiLowerCase(relay), login);
  }
  return done(logins);
}
