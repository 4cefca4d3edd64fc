import { findLayout } from "../../services/layout/find-layout.ts";
import { askOnce } from "../../services/operator-client/operator-client.ts";
import { type Command, complain, exitDone, readOptions, say } from "./command.ts";

const usage = `usage: postern reload [--root DIR]

Has the server read its control files again. With a file that is wrong it goes on as before, and says what is wrong.
Exits 0, 100 when a control file is wrong, 111 when the server is not running.`;

export const command: Command = {
  usage,
  async run(args) {
    const options = readOptions(args, {});
    if (options.kind !== "done") return complain(options, usage);
    const answer = await askOnce(findLayout(options.value.values.root, process.env), "reload");
    if (answer.kind !== "done") return complain(answer);
    const { notes } = answer.value;
    if (Array.isArray(notes)) for (const note of notes) say(String(note));
    say("reloaded");
    return exitDone;
  },
};
