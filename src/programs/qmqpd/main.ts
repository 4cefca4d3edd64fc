#!/usr/bin/env node
import { createServer, type Socket } from "node:net";
import { done, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { peerCredentials } from "../../services/kernel/peer-credentials.ts";
import { runProgram } from "../../services/program/program.ts";
import { createQueueClient } from "./queue-client.ts";
import { type Caller, createService, limits } from "./serve.ts";

runProgram("qmqpd", async ({ listeners, log }) => {
  const [fd] = listeners.qmqp ?? [];
  if (fd === undefined) return permanent("3.5", "no listener for local submission");
  const queue = createQueueClient();
  const service = createService({ submit: queue.submit, identify, log, now: Date.now });
  // Half open: a client may end its side after the request and still wait for the answer.
  const server = createServer({ allowHalfOpen: true }, service.take);
  server.maxConnections = 2 * limits.connections; // beyond that not even a refusal: the kernel's line of waiting ones is next
  server.on("error", (error) => log({ event: "alert", text: `cannot accept local submissions: ${error.message}` }));
  server.listen({ fd });
  return done({
    peer(name, socket) {
      if (name === "queue") queue.attach(socket);
      else socket.destroy();
    },
    async stop() {
      server.close();
      await service.stop();
    },
  });
});

/** Node keeps a socket's descriptor to itself but for this; there is no other way to ask the kernel about it. */
function identify(socket: Socket): Outcome<Caller> {
  const { fd } = (socket as Socket & { readonly _handle?: { readonly fd?: number } })._handle ?? {};
  return fd === undefined || fd < 0 ? temporary("3.0", "cannot tell who is calling") : peerCredentials(fd);
}
