import { done, type Outcome, permanent } from "../../protocol/outcome.ts";

/** What a caller of sendmail wants. */
export interface SendmailOptions {
  readonly mode: "send" | "serve" | "list queue" | "run queue" | "nothing" | "help";
  /** Recipients from the header too. */
  readonly fromHeader: boolean;
  readonly recipients: readonly string[];
  readonly reversePath: string | undefined;
  readonly name: string | undefined;
  readonly root: string | undefined;
}

export const sendmailUsage = `usage: postern sendmail [-t] [-f SENDER] [-F NAME] [--root DIR] [RECIPIENT ...] < MESSAGE
       postern sendmail -bp     lists the queue (as mailq)
       postern sendmail -q      tries all of the queue now
       postern sendmail -bs     speaks SMTP on standard input and output

  -t  takes recipients from To, Cc and Bcc as well; -f sets the envelope sender, -F the name in From
  -i, -o..., -B, -N, -V, -R, -O, -m, -n, -v and the like are taken for what other programs expect, and change nothing.
  A line of one dot does not end the message.
Exits 0 when the message is on the server's disk, 75 if it is worth trying again (also while the server is down),
64 for wrong use, 65 for a message that cannot be sent, 67 for addresses that cannot be, 69 when it was refused,
77 when the caller may not, 78 for wrong configuration.
`;

/** Options that take a value: in the same argument, or the next one. */
const withValue = new Set(["f", "r", "F", "B", "N", "V", "R", "O", "L", "h", "p", "X", "C"]);
/** Options that take the rest of their argument, if there is any. */
const withRest = new Set(["o", "e", "d", "A", "b", "q"]);
/** Letters that may stand together. But for t they change nothing here. */
const flags = new Set(["t", "i", "m", "n", "v", "s", "G", "U", "x", "J", "E"]);
const modes = new Map<string, SendmailOptions["mode"]>([
  ["m", "send"],
  ["s", "serve"],
  ["p", "list queue"],
  ["i", "nothing"],
]);

/** Sendmail's options as programs really use them. Fails, permanently, for what would not do what was asked. */
export function parseSendmailOptions(args: readonly string[]): Outcome<SendmailOptions> {
  const given = new Map<string, string>();
  let at = 0;
  for (; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (arg === "--" || arg === "-" || !arg.startsWith("-")) break;
    if (arg === "--help" || arg === "--root") {
      given.set(arg, arg === "--root" ? (args[++at] ?? "") : "");
      continue;
    }
    for (let letter = 1; letter < arg.length; letter++) {
      const option = arg.charAt(letter);
      const rest = arg.slice(letter + 1);
      if (flags.has(option)) given.set(option, "");
      else if (withRest.has(option)) given.set(option, rest);
      else if (!withValue.has(option)) return permanent("5.1", `there is no option -${option}`);
      else if (rest === "" && at + 1 === args.length) return permanent("5.1", `-${option} needs a value`);
      else given.set(option, rest === "" ? (args[++at] ?? "") : rest);
      if (!flags.has(option)) break;
    }
  }
  if (args[at] === "--") at++;
  const mode = modeOf(given);
  if (!mode) return permanent("5.1", `-b${given.get("b")} is not offered here; messages come on standard input`);
  return done({
    mode,
    fromHeader: given.has("t"),
    recipients: args.slice(at),
    reversePath: given.get("f") ?? given.get("r"),
    name: given.get("F"),
    root: given.get("--root"),
  });
}

function modeOf(given: ReadonlyMap<string, string>): SendmailOptions["mode"] | undefined {
  if (given.has("--help")) return "help";
  const asked = given.get("b");
  if (asked !== undefined && asked !== "m") return modes.get(asked);
  return given.has("q") ? "run queue" : "send";
}
