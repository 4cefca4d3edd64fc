import { permanent } from "../../protocol/outcome.ts";
import { findLayout } from "../../services/layout/find-layout.ts";
import { octets, runRequest } from "./accounts/run.ts";
import { type Command, complain, readOptions } from "./command.ts";

const usage = `usage: postern alias list [DOMAIN] [--json]
       postern alias show ADDRESS [--json]
       postern alias add ADDRESS TARGET ...     mail for ADDRESS goes to TARGET, too
       postern alias set ADDRESS TARGET ...     and to nobody else
       postern alias remove ADDRESS
       all of them: [--root DIR]

A target is any address, here or elsewhere. A user whose own address is a target may send as the alias.
Exits 0, 1 when there is nothing to list, 100 when something is wrong, 111 when the accounts cannot be used.`;

export const command: Command = {
  usage,
  async run(args) {
    const read = readOptions(args, { json: { type: "boolean" } });
    if (read.kind !== "done") return complain(read, usage);
    const { values, positionals } = read.value;
    const [action = "list", address = "", ...targets] = positionals.map(octets);
    const layout = findLayout(values.root, process.env);
    const json = values.json ?? false;
    if (action !== "list" && address === "") return complain(permanent("5.1", "which alias?"), usage);
    switch (action) {
      case "list":
      case "show":
      case "remove":
        return await runRequest(layout, { action: `alias ${action}`, address }, json);
      case "add":
      case "set":
        return await runRequest(layout, { action: `alias ${action}`, address, targets }, json);
      default:
        return complain(permanent("5.1", `alias: there is no action ${action}`), usage);
    }
  },
};
