import { once } from "node:events";
import { createServer, type ListenOptions, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Settings } from "../../protocol/control/table.ts";
import type { Event } from "../../protocol/event/event.ts";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { createDirectoryClient } from "../../services/directory-client/directory-client.ts";
import { createReclaimer } from "../../services/memory/reclaim.ts";
import { createAdmission } from "../../services/submission/admission.ts";
import type { CertificateFiles } from "../../services/tls/certificate.ts";
import { createContexts } from "../../services/tls/contexts.ts";
import { Connection, type Surroundings } from "./connection.ts";
import { createMailboxLink } from "./mailbox-link.ts";

export interface ServiceOptions {
  readonly settings: Settings;
  readonly certificates: readonly CertificateFiles[];
  readonly log: (event: Event) => void;
}

/** The POP3 service. */
export interface Pop3Service {
  /** Accepts on a listener; "pop3s" begins with TLS. Resolves with the server once it does. */
  listen(on: ListenOptions | { readonly fd: number }, service: string): Promise<Outcome<Server>>;
  attachDirectory(socket: Socket): void;
  attachLocal(socket: Duplex): void;
  /** For the connections to come. Fails, and changes nothing, when the settings cannot be used. */
  reload(settings: Settings, certificates: readonly CertificateFiles[]): Outcome<void>;
  /** A second has passed. The service has no other clock. */
  tick(): void;
  /** Takes nothing new; resolves when every client is gone, at the latest after a second. */
  stop(): Promise<void>;
}

const stopMs = 1_000;
const tooMany = "-ERR [SYS/TEMP] too many connections, try again later";

export function createPop3Service(options: ServiceOptions): Outcome<Pop3Service> {
  const { log } = options;
  const initialTls = createContexts(options.certificates, options.settings);
  if (initialTls.kind !== "done") return initialTls;
  let { settings } = options;
  let tls = initialTls.value;
  const admission = createAdmission(limitsOf(settings));
  const directory = createDirectoryClient();
  const mailboxes = createMailboxLink();
  const servers: Server[] = [];
  const connections = new Set<Connection>();
  let allGone: (() => void) | undefined;
  let seconds = 0;
  let lastNumber = 0;
  const around: Surroundings = {
    directory,
    mailboxes,
    reclaim: createReclaimer(),
    get seconds() {
      return seconds;
    },
    get tls() {
      return tls;
    },
    log,
  };

  const accept = (socket: Socket, service: string) => {
    const { remoteAddress: address, remotePort: port } = socket;
    if (address === undefined || port === undefined) return void socket.destroy(); // gone already
    const number = ++lastNumber;
    const startsWithTls = service === "pop3s";
    if (startsWithTls && !tls) return void socket.destroy(); // its last certificate was taken away since the start
    if (!admission.enter(address)) {
      log({ event: "refusal", connection: number, address, command: "", reply: tooMany });
      return startsWithTls ? void socket.destroy() : turnAway(socket);
    }
    log({ event: "connection", connection: number, address, port, service });
    const { me, apop, clearlogin, timeoutpop3d } = settings;
    const terms = {
      ...{ number, address, startsWithTls, me, timeoutSeconds: timeoutpop3d },
      mayLoginInClear: clearlogin === 1 && isLoopback(address),
      stamp: apop === 1 ? `<${process.pid}.${number}.${Date.now()}@${me}>` : undefined,
    };
    const connection = new Connection(socket, around, terms, (gone) => {
      connections.delete(gone);
      admission.leave(address);
      if (connections.size === 0) allGone?.();
    });
    connections.add(connection);
  };

  return done({
    async listen(on, service) {
      const server = createServer({ noDelay: true }, (socket) => accept(socket, service));
      try {
        server.listen(on);
        await once(server, "listening");
      } catch (error) {
        return temporary(
          "3.0",
          `cannot accept ${service} connections: ${error instanceof Error ? error.message : error}`,
        );
      }
      server.on("error", (error) => log({ event: "warning", text: `cannot accept a connection: ${error.message}` }));
      servers.push(server);
      return done(server);
    },
    attachDirectory: directory.attach,
    attachLocal: mailboxes.attach,
    reload(fresh, certificates) {
      const contexts = createContexts(certificates, fresh);
      if (contexts.kind !== "done") return contexts;
      tls = contexts.value;
      settings = fresh;
      admission.limit(limitsOf(fresh));
      return done(undefined);
    },
    tick() {
      seconds++;
      for (const connection of connections) connection.tick();
    },
    async stop() {
      for (const server of servers) server.close();
      const { promise, resolve } = Promise.withResolvers<void>();
      allGone = resolve;
      for (const connection of connections) connection.takeLeave();
      if (connections.size === 0) resolve();
      const deadline = setTimeout(resolve, stopMs);
      await promise;
      clearTimeout(deadline);
    },
  });
}

const limitsOf = (settings: Settings) => ({
  maxConnections: settings.maxconnections,
  maxConnectionsPerAddress: settings.maxconnectionsperaddress,
});

const isLoopback = (address: string): boolean => /^(::ffff:)?127\.|^::1$/.test(address);

function turnAway(socket: Socket): void {
  socket.on("error", () => {}); // it may be gone; nothing depends on it
  socket.write(`${tooMany}\r\n`, "latin1");
  socket.destroySoon();
}
