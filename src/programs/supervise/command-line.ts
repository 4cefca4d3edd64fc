import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { done, type Outcome, permanent } from "../../protocol/outcome.ts";

export interface StartOptions {
  readonly embedded: boolean;
  readonly root: string;
  /** Only if asked for: it goes before the control files. */
  readonly portBase?: number;
}

export const startUsage = `usage: postern start [--root DIR]                              as root: the whole system's mail server
       postern start --embedded [--root DIR] [--port-base N]  as anybody: everything below DIR (./var), SMTP on N+25,
                                                              submission on N+87 and, with TLS from the first
                                                              octet, on N+465 of 127.0.0.1 (N is 2500)`;

/** Ports are N+25, N+87 and N+465, so N itself may be 0. */
const highestPortBase = 65_535 - 465;

/** What `postern start` was asked for; "help" for its usage. Paths are relative to `folder`. */
export function parseCommandLine(args: readonly string[], folder: string): Outcome<StartOptions | "help"> {
  let values: { embedded?: boolean; root?: string; "port-base"?: string; help?: boolean };
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        embedded: { type: "boolean" },
        root: { type: "string" },
        "port-base": { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    }));
  } catch (error) {
    return permanent("3.5", `${(error as Error).message}; see postern start --help`);
  }
  if (values.help) return done("help");
  const embedded = values.embedded ?? false;
  const root = resolve(folder, values.root ?? (embedded ? "var" : "/"));
  const base = values["port-base"];
  if (base === undefined) return done({ embedded, root });
  if (!embedded) return permanent("3.5", "--port-base goes with --embedded; see control/smtplisten");
  if (!/^[0-9]{1,5}$/.test(base) || Number(base) > highestPortBase) {
    return permanent("3.5", `--port-base ${base} is not a number up to ${highestPortBase}`);
  }
  return done({ embedded, root, portBase: Number(base) });
}
