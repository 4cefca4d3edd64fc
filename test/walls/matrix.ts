import { openPrograms, type ProgramName, programNames } from "../../src/programs/supervise/walls.ts";
import type { Pass, Siege } from "./siege.ts";

const passTitles: Readonly<Record<Pass, string>> = {
  javascript: "As JavaScript",
  native: "As native code, past Node's permissions",
};

/** Not in the tables: the open ones, whose rights are those of what they start. */
const shown = programNames.filter((name) => !openPrograms.includes(name));

/** What hostile code inside each program got away with, as Markdown: first what was let, then what nobody was let. */
export const renderMatrix = (sieges: Readonly<Record<Pass, Siege>>): string =>
  (["javascript", "native"] as const).map((pass) => renderPass(pass, sieges[pass])).join("\n\n");

function renderPass(pass: Pass, siege: Siege): string {
  const attempts = new Set(shown.flatMap((name) => Object.keys(siege[name] ?? {})));
  attempts.delete("ended");
  const isLet = (program: ProgramName, attempt: string): boolean => siege[program]?.[attempt] === "done";
  const some = [...attempts].filter((attempt) => shown.some((program) => isLet(program, attempt)));
  const none = [...attempts].filter((attempt) => !some.includes(attempt));
  const rows = some.map((attempt) => row(attempt, ...shown.map((name) => (isLet(name, attempt) ? "let" : "·"))));
  return [
    `**${passTitles[pass]}**: ${attempts.size} attempts, ${none.length} refused to every program.`,
    "",
    row("", ...shown),
    row("---", ...shown.map(() => ":-:")),
    ...rows,
    "",
    `Refused to all: ${none.join("; ")}.`,
  ].join("\n");
}

const row = (...cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
