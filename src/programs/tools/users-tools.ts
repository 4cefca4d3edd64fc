import { type Outcome, permanent } from "../../protocol/outcome.ts";
import { type AssignOptions, defaultAssignOptions } from "../../protocol/users/pw2u.ts";
import { findLayout } from "../../services/layout/find-layout.ts";
import { assignmentsOf, newMoreHosts, newUsers } from "../../services/users/users.ts";
import { type Call, exitDone, exitTemporary, fail, misused, readTable } from "./tool.ts";

/** qmail-newu: makes users/cdb from users/assign, or changes nothing and exits 111. */
export async function newu(call: Call): Promise<number> {
  return finish(call, await newUsers(findLayout(undefined, call.environment).users));
}

/** qmail-newmrh: makes control/morercpthosts.cdb from control/morercpthosts, or changes nothing and exits 111. */
export async function newmrh(call: Call): Promise<number> {
  return finish(call, await newMoreHosts(findLayout(undefined, call.environment).control));
}

/** qmail-pw2u: writes users/assign for the passwd file on standard input. */
export async function pw2u(call: Call): Promise<number> {
  const options = parsePw2uOptions(call.args);
  if (options.kind !== "done") return misused(call, "[-/ohHuUC] [-cCHAR]");
  const passwd = await readTable();
  if (passwd.kind !== "done") return fail(call, passwd);
  const text = assignmentsOf(findLayout(undefined, call.environment).users, passwd.value, options.value);
  if (text.kind === "done") process.stdout.write(text.value, "latin1");
  return finish(call, text);
}

function finish(call: Call, outcome: Outcome<unknown>): number {
  if (outcome.kind === "done") return exitDone;
  fail(call, outcome);
  return exitTemporary;
}

const choices: ReadonlyMap<string, Partial<AssignOptions>> = new Map([
  ["o", { homes: "skip" }],
  ["h", { homes: "fail" }],
  ["H", { homes: "ignore" }],
  ["u", { capitals: true }],
  ["U", { capitals: false }],
  ["C", { extensions: false }],
  ["/", { dash: "-/" }],
]);

/** qmail-pw2u's letters, which may stand together; -c takes the rest of its argument, or the next one. */
export function parsePw2uOptions(args: readonly string[]): Outcome<AssignOptions> {
  let options: AssignOptions = { ...defaultAssignOptions };
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (!arg.startsWith("-") || arg === "-") return permanent("5.1", `there is no use for ${arg}`);
    for (let letter = 1; letter < arg.length; letter++) {
      const chosen = choices.get(arg.charAt(letter));
      if (chosen) options = { ...options, ...chosen };
      else if (arg.charAt(letter) !== "c") return permanent("5.1", `there is no option -${arg.charAt(letter)}`);
      else {
        const value = arg.slice(letter + 1) || args[++at];
        if (value === undefined) return permanent("5.1", "-c needs a character");
        options = { ...options, break: value.charAt(0), extensions: true };
        break;
      }
    }
  }
  return { kind: "done", value: options };
}
