import { openPrograms, type ProgramName, programNames } from "../../src/programs/supervise/walls.ts";
import type { Scene } from "./besiege.ts";
import type { Pass } from "./siege.ts";

/** Who owns what; nobody else may even read it. */
const ownPlaces: Readonly<Record<string, readonly ProgramName[]>> = {
  control: [],
  tls: [],
  users: [],
  run: [],
  mail: [],
  alias: [],
  queue: ["queue"],
  directory: ["directory"],
  hook: ["hook"],
  log: ["logger"],
  home: ["deliver", "pop3session"],
};

const confined = programNames.filter((name) => !openPrograms.includes(name));
const readByLocal = [
  "read /etc/passwd",
  "read outside",
  "list outside",
  "see what is outside",
  "go outside",
  "read through a link in own code",
  "read another's environment",
  "read another's memory",
  "list processes",
  "load a module outside",
];

/**
 * All that is allowed; whatever else an attempt does must be refused. `local` is root, and open: it shows here. `hook` is
 * open and a user of its own. Native code inside these is what they start anyway: there is nothing to test.
 */
const allowed: Readonly<Record<Pass, ReadonlyMap<string, readonly ProgramName[]>>> = {
  javascript: new Map<string, readonly ProgramName[]>([
    ["read own code", programNames],
    ...readByLocal.map((name): [string, readonly ProgramName[]] => [name, ["local"]]),
    ["sqlite outside", openPrograms],
    ["signal another process", ["local"]],
    ["start a process", openPrograms],
    ["start Node", openPrograms],
    ["become another program", openPrograms],
    ["call libc", ["local", "qmqpd"]],
    ["accept on an inherited listener", ["smtpd", "qmtpd", "qmqpd", "pop3d", "authd"]],
    ["connect by TCP", ["remote"]],
    ["send by UDP", ["remote"]],
    ...Object.entries(ownPlaces).flatMap(([place, owners]): [string, readonly ProgramName[]][] => [
      [`read ${place}`, ["local", ...owners]],
      [`read through a link in ${place}`, ["local"]],
      [`write ${place}`, owners],
      [`sqlite in ${place}`, ["local", ...owners]],
    ]),
    // Node follows links out of what may be read; it is the kernel that stops the others.
    ["read through a link in own code", openPrograms],
    ["read through a link in hook", openPrograms],
  ]),
  native: new Map<string, readonly ProgramName[]>([
    ["read own code", confined],
    ["see whether a file is there", confined],
    ["signal itself", confined],
    ["connect by TCP", ["remote"]],
    ["make a UDP socket", ["remote"]],
    ...Object.entries(ownPlaces).flatMap(([place, owners]): [string, readonly ProgramName[]][] => [
      [`read ${place}`, owners],
      [`write ${place}`, owners],
    ]),
  ]),
};

/** What one user for all lets `hook` do besides: node:sqlite does not heed Node's permissions. */
const allowedAsOneUser: readonly string[] = [
  "signal another process",
  ...Object.keys(ownPlaces).map((place) => `sqlite in ${place}`),
];

/** Where what was tried and what is allowed differ: what it got away with, and what it should have been let. */
export function disagreements(
  program: ProgramName,
  pass: Pass,
  users: Scene["users"],
  attempts: Readonly<Record<string, string>>,
): { readonly surplus: readonly string[]; readonly absent: readonly string[] } {
  const besides = program === "hook" && users === "one" ? allowedAsOneUser : [];
  const mayDo = (name: string): boolean =>
    besides.includes(name) || (allowed[pass].get(name)?.includes(program) ?? false);
  return {
    surplus: Object.keys(attempts).filter((name) => attempts[name] === "done" && !mayDo(name)),
    absent: [...allowed[pass].keys(), ...besides].filter((name) => mayDo(name) && attempts[name] !== "done"),
  };
}
