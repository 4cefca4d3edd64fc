import { findLayout } from "../../services/layout/find-layout.ts";
import { openOperator } from "../../services/operator-client/operator-client.ts";
import { type Command, complain, exitDone, readOptions, say } from "./command.ts";

const usage = `usage: postern stop [--root DIR]

Stops the server, and returns when it has stopped. Deliveries under way are finished, within a bound; all other mail
stays in the queue for the next start. Exits 0, or 111 when the server is not running.`;

export const command: Command = {
  usage,
  async run(args) {
    const options = readOptions(args, {});
    if (options.kind !== "done") return complain(options, usage);
    const server = await openOperator(findLayout(options.value.values.root, process.env));
    if (server.kind !== "done") return complain(server);
    server.value.ask({ command: "stop" });
    const answer = await server.value.next();
    if (answer.kind !== "done") return complain(answer);
    await server.value.ended();
    say("stopped");
    return exitDone;
  },
};
