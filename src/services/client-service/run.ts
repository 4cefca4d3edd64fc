import type { Server, Socket } from "node:net";
import type { Settings } from "../../protocol/control/table.ts";
import { done, type Outcome } from "../../protocol/outcome.ts";
import { type Given, type Program, runProgram } from "../program/program.ts";
import type { CertificateFiles } from "../tls/certificate.ts";

/** A program that serves clients on listeners. */
export interface ClientService {
  /** Accepts on a listener. Resolves with the server once it does. */
  listen(on: { readonly fd: number }, service: string): Promise<Outcome<Server>>;
  /** For the connections to come. Fails, and changes nothing, when the settings cannot be used. */
  reload(settings: Settings, certificates: readonly CertificateFiles[]): Outcome<void>;
  /** A second has passed: every deadline is looked at. The service has no other clock for them. */
  tick(): void;
  /** Takes nothing new; resolves when every client is gone, at the latest after a bound of its own. */
  stop(): Promise<void>;
}

/** The main of such a program; `peers` says who takes fresh connections with which peer. */
export function runClientService<Service extends ClientService>(
  name: string,
  create: (given: Given) => Outcome<Service>,
  peersOf: (service: Service) => Readonly<Record<string, (socket: Socket) => void>>,
): void {
  runProgram(name, async (given) => {
    const { listeners, log } = given;
    const created = create(given);
    if (created.kind !== "done") return created;
    const service = created.value;
    const peers = peersOf(service);
    for (const [listener, fds] of Object.entries(listeners)) {
      for (const fd of fds) {
        const listening = await service.listen({ fd }, listener);
        if (listening.kind !== "done") return listening;
      }
    }
    const clock = setInterval(service.tick, 1_000);
    return done<Program>({
      peer(peer, socket) {
        const attach = peers[peer];
        if (attach) attach(socket);
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
}
