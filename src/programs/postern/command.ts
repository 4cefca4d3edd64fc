import { type ParseArgsConfig, parseArgs } from "node:util";
import { done, type Failure, type Outcome, permanent } from "../../protocol/outcome.ts";

/** Exit codes of all sub-commands. */
export const exitDone = 0;
export const exitNothing = 1;
export const exitUsage = 100;
export const exitTryAgain = 111;

export interface Command {
  readonly usage: string;
  /** Does it, and says with which code to exit. `args` are those after the command's name. */
  run(args: readonly string[]): Promise<number>;
}

type Options = NonNullable<ParseArgsConfig["options"]>;
type Parsed<O extends Options> = ReturnType<typeof parseArgs<{ options: O & typeof common; allowPositionals: true }>>;

const common = { root: { type: "string" }, help: { type: "boolean", short: "h" } } as const;

/** Reads the options of a command, --root and --help among them. */
export function readOptions<const O extends Options>(args: readonly string[], options: O): Outcome<Parsed<O>> {
  try {
    return done(parseArgs({ args: [...args], options: { ...common, ...options }, allowPositionals: true }));
  } catch (error) {
    return permanent("5.1", (error as Error).message);
  }
}

export const say = (text: string): void => void process.stdout.write(`${text}\n`);

/** Tells of a failure, and gives the code to exit with. */
export function complain(failure: Failure, usage?: string): number {
  process.stderr.write(`postern: ${failure.text}\n${usage === undefined ? "" : `\n${usage}\n`}`);
  return failure.kind === "permanent" ? exitUsage : exitTryAgain;
}

/** How wide lines may be: as wide as the terminal, and any width where nobody looks. */
export const terminalColumns = (): number => (process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY);
