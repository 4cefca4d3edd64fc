import { done } from "../../protocol/outcome.ts";
import { createRouter } from "../../protocol/routing/router.ts";
import { runProgram } from "../../services/program/program.ts";
import { createLocalLink } from "./local-link.ts";
import { createRecipients } from "./recipients.ts";
import { serveClient } from "./serve.ts";

runProgram("directory", async ({ settings }) => {
  const local = createLocalLink();
  let router = createRouter(settings);
  const recipients = createRecipients({
    route: (address) => router.route(address),
    ask: local.ask,
    nowMs: () => performance.now(),
  });
  return done({
    peer(name, socket) {
      if (name === "local") local.attach(socket);
      else serveClient(socket, { askRecipient: recipients.ask });
    },
    reload(fresh) {
      router = createRouter(fresh);
      recipients.forget();
    },
    async stop() {},
  });
});
