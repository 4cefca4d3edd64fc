import { once } from "node:events";
import { createServer, type ListenOptions, type Server, type ServerOpts, type Socket } from "node:net";
import type { Event } from "../../protocol/event/event.ts";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";

export interface Listening {
  /** Names it in the log. */
  readonly service: string;
  readonly options: ServerOpts;
  readonly onSocket: (socket: Socket) => void;
  readonly log: (event: Event) => void;
}

/** Accepts on a listener. Resolves with the server once it does. */
export async function listen(
  on: ListenOptions | { readonly fd: number },
  { service, options, onSocket, log }: Listening,
): Promise<Outcome<Server>> {
  const server = createServer({ noDelay: true, ...options }, onSocket);
  try {
    server.listen(on);
    await once(server, "listening");
  } catch (error) {
    const why = error instanceof Error ? error.message : error;
    return temporary("3.0", `cannot accept ${service} connections: ${why}`);
  }
  server.on("error", (error) => log({ event: "warning", text: `cannot accept a connection: ${error.message}` }));
  return done(server);
}

/** Says why a client is not taken, and closes. */
export function turnAway(socket: Socket, reply: string): void {
  socket.on("error", () => {}); // it may be gone; nothing depends on it
  socket.write(`${reply}\r\n`, "latin1");
  socket.destroySoon();
}
