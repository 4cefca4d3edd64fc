import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import type { AppPasswordOptions } from "../../services/accounts/request.ts";
import { findLayout } from "../../services/layout/find-layout.ts";
import { octets, runRequest } from "./accounts/run.ts";
import { type Command, complain, readOptions } from "./command.ts";

const usage = `usage: postern app-password list ADDRESS [--json]
       postern app-password show ADDRESS NAME [--json]
       postern app-password add ADDRESS NAME [OPTION ...]     makes one, and shows it this once
       postern app-password set ADDRESS NAME [OPTION ...]
       postern app-password remove ADDRESS NAME
       all of them: [--root DIR]

A password for one program or device (NAME), which can be taken back without changing the user's own.
  --scope SERVICE   what it is good for: smtp, pop3, imap; again for several (all three)
  --expires DATE    until then: 2027-01-31, or never (never)

Exits 0, 1 when there is nothing to list, 100 when something is wrong, 111 when the accounts cannot be used.`;

export const command: Command = {
  usage,
  async run(args) {
    const read = readOptions(args, {
      json: { type: "boolean" },
      scope: { type: "string", multiple: true },
      expires: { type: "string" },
    });
    if (read.kind !== "done") return complain(read, usage);
    const { values, positionals } = read.value;
    const [action = "", address = "", name = ""] = positionals.map(octets);
    const layout = findLayout(values.root, process.env);
    const json = values.json ?? false;
    if (address === "" || (action !== "list" && name === "")) {
      return complain(permanent("5.1", "whose app password, and which?"), usage);
    }
    const options = optionsOf(values.scope, values.expires);
    if (options.kind !== "done") return complain(options);
    switch (action) {
      case "list":
        return await runRequest(layout, { action: "app-password list", address }, json);
      case "show":
      case "remove":
        return await runRequest(layout, { action: `app-password ${action}`, address, name }, json);
      case "add":
      case "set":
        return await runRequest(
          layout,
          { action: `app-password ${action}`, address, name, options: options.value },
          json,
        );
      default:
        return complain(permanent("5.1", `app-password: there is no action ${action}`), usage);
    }
  },
};

function optionsOf(scopes: readonly string[] | undefined, expires: string | undefined): Outcome<AppPasswordOptions> {
  const expiresMs = expires === undefined || expires === "never" ? 0 : Date.parse(expires);
  if (Number.isNaN(expiresMs)) return permanent("5.1", `"${expires}" is no date: 2027-01-31, or never`);
  return done({ ...(scopes && { scopes }), ...(expires !== undefined && { expiresMs }) });
}
