import type { ListenOptions, Server, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Settings } from "../../protocol/control/table.ts";
import type { Event } from "../../protocol/event/event.ts";
import { done, type Outcome } from "../../protocol/outcome.ts";
import { createClients } from "../../services/client-service/clients.ts";
import { listen, turnAway } from "../../services/client-service/listen.ts";
import type { ClientService } from "../../services/client-service/run.ts";
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

/** The POP3 service. Its listener "pop3s" begins with TLS. */
export interface Pop3Service extends ClientService {
  listen(on: ListenOptions | { readonly fd: number }, service: string): Promise<Outcome<Server>>;
  attachDirectory(socket: Socket): void;
  attachLocal(socket: Duplex): void;
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
  const clients = createClients();
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
      return startsWithTls ? void socket.destroy() : turnAway(socket, tooMany);
    }
    log({ event: "connection", connection: number, address, port, service });
    const { me, apop, clearlogin, timeoutpop3d } = settings;
    const terms = {
      ...{ number, address, startsWithTls, me, timeoutSeconds: timeoutpop3d },
      mayLoginInClear: clearlogin === 1 && isLoopback(address),
      stamp: apop === 1 ? `<${process.pid}.${number}.${Date.now()}@${me}>` : undefined,
    };
    clients.add(
      (onGone) =>
        new Connection(socket, around, terms, () => {
          admission.leave(address);
          onGone();
        }),
    );
  };

  return done({
    async listen(on, service) {
      const onSocket = (socket: Socket): void => accept(socket, service);
      const listening = await listen(on, { service, options: {}, onSocket, log });
      if (listening.kind === "done") servers.push(listening.value);
      return listening;
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
      clients.tick();
    },
    async stop() {
      for (const server of servers) server.close();
      await clients.stop(stopMs);
    },
  });
}

const limitsOf = (settings: Settings) => ({
  maxConnections: settings.maxconnections,
  maxConnectionsPerAddress: settings.maxconnectionsperaddress,
});

const isLoopback = (address: string): boolean => /^(::ffff:)?127\.|^::1$/.test(address);
