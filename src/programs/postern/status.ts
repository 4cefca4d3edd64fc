import { findLayout } from "../../services/layout/find-layout.ts";
import { askOnce } from "../../services/operator-client/operator-client.ts";
import { type Command, complain, exitDone, readOptions, say, terminalColumns } from "./command.ts";
import { renderStatus } from "./status-table.ts";

const usage = `usage: postern status [--json] [--root DIR]

Shows each program of the running server: process, user, time since its start, restarts, memory (its share of what it
shares), and which walls are around it.
Exits 0, or 111 when the server is not running.`;

export const command: Command = {
  usage,
  async run(args) {
    const options = readOptions(args, { json: { type: "boolean" } });
    if (options.kind !== "done") return complain(options, usage);
    const { root, json } = options.value.values;
    const status = await askOnce(findLayout(root, process.env), "status");
    if (status.kind !== "done") return complain(status);
    say(json ? JSON.stringify(status.value) : renderStatus(status.value, Date.now(), terminalColumns()));
    return exitDone;
  },
};
