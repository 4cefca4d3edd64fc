#!/usr/bin/env node
import { createServer, type Socket } from "node:net";
import type { Settings } from "../../protocol/control/table.ts";
import { createNetworks, type Networks } from "../../protocol/network/network.ts";
import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import { runProgram } from "../../services/program/program.ts";
import type { Client } from "../../services/submission/message-stream.ts";
import { createQueueClient } from "../../services/submission/queue-client.ts";
import { localCaller, networkCaller } from "./callers.ts";
import { createService, limits, type Service } from "./serve.ts";

runProgram("qmqpd", async ({ settings, listeners, log }) => {
  const [fd] = listeners.qmqp ?? [];
  if (fd === undefined) return permanent("3.5", "no listener for local submission");
  const initial = readTerms(settings);
  if (initial.kind !== "done") return initial;
  let terms = initial.value;
  const queue = createQueueClient();
  let lastNumber = 0;
  const hook = createQueueClient();
  const shared = { log, now: Date.now, number: () => ++lastNumber };
  // Never through `hook`: this is where the program it starts hands the message in.
  const local = createService({ ...shared, submit: () => queue.submitWhenUp(), identify: localCaller });
  // Apart: other hosts cannot take the connections of this one's users.
  const network = createService({
    ...shared,
    submit: (socket) => (terms.throughHook ? hook.submitWhenUp(clientAt(socket)) : queue.submitWhenUp()),
    identify: ({ remoteAddress }) => networkCaller(remoteAddress, terms.clients, terms.me),
  });
  const serve = (service: Service, listener: number) => {
    // Half open: a client may end its side after the request and still wait for the answer.
    const server = createServer({ allowHalfOpen: true }, service.take);
    server.maxConnections = 2 * limits.connections; // beyond that not even a refusal: the kernel's line of waiting ones is next
    server.on("error", (error) => log({ event: "alert", text: `cannot accept submissions: ${error.message}` }));
    return server.listen({ fd: listener });
  };
  const servers = [serve(local, fd), ...(listeners["qmqp-tcp"] ?? []).map((listener) => serve(network, listener))];
  return done({
    peer(name, socket) {
      if (name === "queue") queue.attach(socket);
      else if (name === "hook") hook.attach(socket);
      else socket.destroy();
    },
    reload(fresh) {
      const read = readTerms(fresh);
      if (read.kind === "done") terms = read.value;
      else log({ event: "warning", text: `old settings kept: ${read.text}` });
    },
    async stop() {
      for (const server of servers) server.close();
      await Promise.all([local.stop(), network.stop()]);
    },
  });
});

/** Who may call, and who they are told we are. */
interface Terms {
  readonly me: string;
  readonly clients: Networks;
  /** A program of the site's is to see what comes from other hosts. */
  readonly throughHook: boolean;
}

function readTerms({ me, qmqpclients, qmailqueue }: Settings): Outcome<Terms> {
  const clients = createNetworks(qmqpclients);
  return clients.kind === "done"
    ? done({ me, clients: clients.value, throughHook: qmailqueue !== "" })
    : permanent("3.5", `control/qmqpclients: ${clients.text}`);
}

const clientAt = ({ remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 }: Socket): Client => ({
  address: remoteAddress,
  port: remotePort,
  localAddress,
  localPort,
});
