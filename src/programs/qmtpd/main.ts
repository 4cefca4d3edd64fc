#!/usr/bin/env node
import { createServer } from "node:net";
import { done, permanent } from "../../protocol/outcome.ts";
import { runProgram } from "../../services/program/program.ts";
import { createQueueClient } from "../../services/submission/queue-client.ts";
import { createQmtpService } from "./serve.ts";

runProgram("qmtpd", async ({ settings, listeners, log }) => {
  const fds = listeners.qmtp ?? [];
  if (fds.length === 0) return permanent("3.5", "no listener: see control/qmtplisten");
  const queue = createQueueClient();
  const hook = createQueueClient();
  const submitters = { submit: () => queue.submitWhenUp(), submitToHook: hook.submitWhenUp };
  const created = createQmtpService({ settings, ...submitters, log, now: Date.now });
  if (created.kind !== "done") return created;
  const service = created.value;
  // Half open: a client may end its side after its last package and still wait for the answers.
  const servers = fds.map((fd) => createServer({ allowHalfOpen: true, noDelay: true }, service.take).listen({ fd }));
  for (const server of servers) {
    server.on("error", (error) => log({ event: "alert", text: `cannot accept QMTP connections: ${error.message}` }));
  }
  return done({
    peer(name, socket) {
      if (name === "queue") queue.attach(socket);
      else if (name === "hook") hook.attach(socket);
      else socket.destroy();
    },
    reload(fresh) {
      const reloaded = service.reload(fresh);
      if (reloaded.kind !== "done") log({ event: "warning", text: `old settings kept: ${reloaded.text}` });
    },
    async stop() {
      for (const server of servers) server.close();
      await service.stop();
    },
  });
});
