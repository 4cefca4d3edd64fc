import { compiledControl } from "../control/compiled.ts";
import { describedControl, findFaults } from "../control/describe.ts";
import { foreignControl } from "../control/foreign.ts";

/** What becomes of a control file of qmail's: taken as it is, or left, and why. */
export interface ControlFate {
  readonly name: string;
  readonly fate: "taken" | "no effect" | "wrong" | "unknown";
  readonly why: string;
}

/** Judges one control file by its name and octets (latin1). */
export function controlFate(name: string, text: string): ControlFate {
  const foreign = foreignControl(name);
  if (foreign !== undefined) return { name, fate: "no effect", why: foreign };
  if (!describedControl(name) && !compiledControl(name)) {
    return { name, fate: "unknown", why: "Postern has no such control file" };
  }
  const [fault] = findFaults(new Map([[name, text]]));
  if (fault !== undefined) return { name, fate: "wrong", why: fault.replace(`control/${name}: `, "") };
  return { name, fate: "taken", why: "" };
}

/** What is going to differ because a control file is missing in qmail's folder; one sentence each. */
export function missingControlNotes(has: (name: string) => boolean): readonly string[] {
  return missing.filter(([name]) => !has(name)).map(([, note]) => note);
}

const missing: readonly (readonly [string, string])[] = [
  ["me", "no control/me: this server has no name; Postern is localhost then"],
  [
    "rcpthosts",
    "no control/rcpthosts: qmail took mail for every domain from everybody (an open relay); Postern takes what is delivered here",
  ],
  ["concurrencylocal", "no control/concurrencylocal: 10 deliveries at once become 100"],
  ["concurrencyremote", "no control/concurrencyremote: 20 deliveries at once become 100"],
  [
    "bounceformat",
    "bounces are multipart/report (RFC 3464) around qmail's text; `qsbmf` in control/bounceformat has them in qmail's own form",
  ],
  [
    "smtprules",
    "relaying by address: the rules of tcpserver (often /etc/tcp.smtp) are not in qmail's folder; copy them to control/smtprules",
  ],
];
