import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import type { Wishes } from "../../services/injection/inject.ts";

export interface InjectOptions extends Wishes {
  /** Print the message instead of sending it. */
  readonly print: boolean;
  readonly root: string | undefined;
}

export const injectUsage = `usage: postern inject [-nNaAhH] [-fSENDER] [--root DIR] [RECIPIENT ...] < MESSAGE

Completes the header of a message and hands it to the server.
  -a  to the arguments only          -h  to those in the header only
  -H  to both                        -A  to the arguments or, without any, those in the header (default)
  -f  envelope sender, -f '' for <>  -n  print the message instead (-N: do not)
The environment is qmail-inject's: QMAILUSER, QMAILHOST, QMAILNAME, QMAILINJECT and the others.
Exits 0 when the message is on the server's disk, 100 if it never can be, 111 if it is worth trying again.
`;

/** What qmail-inject's options mean; "help" for its usage. Single letters may stand together, -f takes the rest. */
export function parseInjectOptions(args: readonly string[]): Outcome<InjectOptions | "help"> {
  let recipientsFrom: Wishes["recipientsFrom"] | undefined;
  let reversePath: string | undefined;
  let root: string | undefined;
  let print = false;
  let at = 0;
  for (; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (arg === "--help") return done("help");
    if (arg === "--root") {
      root = args[++at];
      if (root === undefined) return permanent("3.5", "--root needs a folder");
      continue;
    }
    if (arg === "--" || arg === "-" || !arg.startsWith("-")) break;
    for (let letter = 1; letter < arg.length; letter++) {
      const option = arg.charAt(letter);
      if (option === "f") {
        reversePath = letter + 1 < arg.length ? arg.slice(letter + 1) : args[++at];
        if (reversePath === undefined) return permanent("3.5", "-f needs a sender");
        break;
      }
      if (option === "n" || option === "N") print = option === "n";
      else if (option === "a") recipientsFrom = "arguments";
      else if (option === "h") recipientsFrom = "header";
      else if (option === "H") recipientsFrom = "both";
      else if (option === "A") recipientsFrom = undefined;
      else return permanent("3.5", `there is no option -${option}`);
    }
  }
  if (args[at] === "--") at++;
  const rest = args.slice(at);
  recipientsFrom ??= rest.length > 0 ? "arguments" : "header";
  return done({ recipientsFrom, arguments: rest, reversePath, print, root });
}
