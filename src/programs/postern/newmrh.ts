import { displayPath, findLayout } from "../../services/layout/find-layout.ts";
import { newMoreHosts } from "../../services/users/users.ts";
import { type Command, complain, exitDone, readOptions, say } from "./command.ts";
import { counted } from "./quantity.ts";

const usage = `usage: postern newmrh [--root DIR]

Makes control/morercpthosts.cdb from control/morercpthosts, in one step. Postern needs it no more than it needs the text,
and reads both; other programs may want it. A change counts after postern reload.
Exits 0, 100 when there is no control/morercpthosts, 111 when a file cannot be read or written.`;

export const command: Command = {
  usage,
  async run(args) {
    const options = readOptions(args, {});
    if (options.kind !== "done") return complain(options, usage);
    const { control } = findLayout(options.value.values.root, process.env);
    const made = await newMoreHosts(control);
    if (made.kind !== "done") return complain(made);
    say(`${displayPath(control)}/morercpthosts.cdb: ${counted(made.value, "domain")}; now: postern reload`);
    return exitDone;
  },
};
