#!/usr/bin/env node
import { done } from "../../protocol/outcome.ts";
import { type Given, type Program, runProgram } from "../../services/program/program.ts";
import { createSmtpService } from "./serve.ts";

runProgram("smtpd", async ({ settings, certificates, listeners, facts, log }: Given) => {
  const created = createSmtpService({
    settings,
    certificates,
    ipAddresses: Array.isArray(facts.ipAddresses) ? facts.ipAddresses.map(String) : [],
    processes: typeof facts.processes === "number" ? facts.processes : 1,
    log,
  });
  if (created.kind !== "done") return created;
  const service = created.value;
  for (const [name, fds] of Object.entries(listeners)) {
    for (const fd of fds) {
      const listening = await service.listen({ fd }, name);
      if (listening.kind !== "done") return listening;
    }
  }
  const clock = setInterval(service.tick, 1_000);
  return done<Program>({
    peer(name, socket) {
      if (name === "queue") service.attachQueue(socket);
      else if (name === "directory") service.attachDirectory(socket);
      else if (name === "hook") service.attachHook(socket);
      else socket.destroy();
    },
    reload(...fresh) {
      const reloaded = service.reload(...fresh);
      if (reloaded.kind !== "done") log({ event: "warning", text: `old settings kept: ${reloaded.text}` });
    },
    async stop() {
      await service.stop();
      clearInterval(clock);
    },
  });
});
