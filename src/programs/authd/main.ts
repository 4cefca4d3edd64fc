#!/usr/bin/env node
import { createServer, type Socket } from "node:net";
import { done, permanent } from "../../protocol/outcome.ts";
import { createDirectoryClient } from "../../services/directory-client/directory-client.ts";
import { runProgram } from "../../services/program/program.ts";
import { serveCaller } from "./serve.ts";

/** Each is a process of the caller's that waits; `directory` looks at two passwords at once. */
const maxCallers = 100;

runProgram("authd", async ({ listeners, log }) => {
  const [fd] = listeners.auth ?? [];
  if (fd === undefined) return permanent("3.5", "no listener: see control/authsocket");
  const directory = createDirectoryClient();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    serveCaller(socket, directory);
  });
  server.maxConnections = maxCallers;
  server.on("error", (error) => log({ event: "alert", text: `cannot accept questions: ${error.message}` }));
  server.listen({ fd });
  return done({
    peer(name, socket) {
      if (name === "directory") directory.attach(socket);
      else socket.destroy();
    },
    async stop() {
      server.close();
      for (const socket of sockets) socket.destroy(); // they ask again
    },
  });
});
