import { buffer } from "node:stream/consumers";
import { permanent } from "../../protocol/outcome.ts";
import { type AssignOptions, defaultAssignOptions } from "../../protocol/users/pw2u.ts";
import { findLayout } from "../../services/layout/find-layout.ts";
import { assignmentsOf } from "../../services/users/users.ts";
import { type Command, complain, exitDone, readOptions } from "./command.ts";

const usage = `usage: postern pw2u [-HuC] [-c CHAR] [OPTION ...] < /etc/passwd > users/assign

Writes users/assign for the accounts of a passwd file, with what users/include, exclude, mailnames, subusers and append
say. Accounts with uid 0, with capitals in their names, or whose home is not theirs are left out.
  --need-home   stop at an account that has no home (qmail-pw2u -h); it is left out else
  -H            take accounts whatever their homes
  -u            take names with capitals
  -c CHAR       what divides a name from its extension, instead of "-"
  -C            no addresses with an extension
  --slash       users' files are .qmail-/ext (qmail-pw2u -/)
  --alias NAME  the account that takes what is left, instead of alias; "" for none
  --root DIR    whose users/include, exclude, mailnames, subusers and append count
Exits 0, 100 when the accounts or files do not fit together, 111 when something cannot be read.`;

const switches = {
  H: { type: "boolean", short: "H" },
  u: { type: "boolean", short: "u" },
  C: { type: "boolean", short: "C" },
  c: { type: "string", short: "c" },
  "need-home": { type: "boolean" },
  slash: { type: "boolean" },
  alias: { type: "string" },
} as const;

export const command: Command = {
  usage,
  async run(args) {
    const options = readOptions(args, switches);
    if (options.kind !== "done") return complain(options, usage);
    const { values, positionals } = options.value;
    if (positionals.length > 0) return complain(permanent("5.1", "pw2u reads standard input"), usage);
    const passwd = (await buffer(process.stdin)).toString("latin1");
    const chosen: AssignOptions = {
      ...defaultAssignOptions,
      break: values.c ?? defaultAssignOptions.break,
      dash: values.slash ? "-/" : "-",
      extensions: !values.C,
      capitals: values.u ?? false,
      homes: values.H ? "ignore" : values["need-home"] ? "fail" : "skip",
      alias: values.alias === "" ? undefined : (values.alias ?? defaultAssignOptions.alias),
    };
    const text = assignmentsOf(findLayout(values.root, process.env).users, passwd, chosen);
    if (text.kind !== "done") return complain(text);
    process.stdout.write(text.value, "latin1");
    return exitDone;
  },
};
