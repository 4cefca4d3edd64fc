import { displayPath, findLayout } from "../../services/layout/find-layout.ts";
import { newUsers } from "../../services/users/users.ts";
import { type Command, complain, exitDone, readOptions, say } from "./command.ts";
import { counted } from "./quantity.ts";

const usage = `usage: postern newu [--root DIR]

Makes users/cdb from users/assign, in one step: a running server uses the old one or the new one. Without a last line
"." in users/assign, or with a bad line, nothing is changed.
Exits 0, 100 when there is no users/assign, 111 when it is wrong or a file cannot be read or written.`;

export const command: Command = {
  usage,
  async run(args) {
    const options = readOptions(args, {});
    if (options.kind !== "done") return complain(options, usage);
    const { users } = findLayout(options.value.values.root, process.env);
    const made = await newUsers(users);
    if (made.kind !== "done") return complain(made);
    say(`${displayPath(users)}/cdb: ${counted(made.value, "assignment")}`);
    return exitDone;
  },
};
