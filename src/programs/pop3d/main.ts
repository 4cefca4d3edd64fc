import { done } from "../../protocol/outcome.ts";
import { type Given, type Program, runProgram } from "../../services/program/program.ts";
import { createPop3Service } from "./serve.ts";

runProgram("pop3d", async ({ settings, certificates, listeners, log }: Given) => {
  const created = createPop3Service({ settings, certificates, log });
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
      if (name === "directory") service.attachDirectory(socket);
      else if (name === "local") service.attachLocal(socket);
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
