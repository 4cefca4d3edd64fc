import type { ListenOptions, Server, Socket } from "node:net";
import type { Settings } from "../../protocol/control/table.ts";
import type { Event } from "../../protocol/event/event.ts";
import { createNetworks, type Networks } from "../../protocol/network/network.ts";
import { done, type Outcome } from "../../protocol/outcome.ts";
import { createRules, type RulesFor } from "../../protocol/routing/rules.ts";
import { createClients } from "../../services/client-service/clients.ts";
import { listen, turnAway } from "../../services/client-service/listen.ts";
import type { ClientService } from "../../services/client-service/run.ts";
import { createDirectoryClient } from "../../services/directory-client/directory-client.ts";
import { createReclaimer } from "../../services/memory/reclaim.ts";
import { type AdmissionLimits, createAdmission } from "../../services/submission/admission.ts";
import { createQueueLink, wayOf } from "../../services/submission/queue-link.ts";
import type { CertificateFiles } from "../../services/tls/certificate.ts";
import { createContexts } from "../../services/tls/contexts.ts";
import { Connection } from "./connection.ts";
import type { ConnectionTerms, Surroundings } from "./conversation.ts";
import { readIntroduction } from "./proxied.ts";
import { createRates } from "./rates.ts";
import { createRecipients, tooManyUnknown } from "./recipients.ts";

export interface ServiceOptions {
  readonly settings: Settings;
  readonly certificates: readonly CertificateFiles[];
  /** This host's own addresses, for `user@[address]`. */
  readonly ipAddresses: readonly string[];
  /** How many processes share the listeners: each takes its part of the connections. */
  readonly processes: number;
  readonly log: (event: Event) => void;
}

/** The SMTP service of one process. Its listener "smtps" begins with TLS, "lmtp" speaks LMTP. */
export interface SmtpService extends ClientService {
  listen(on: ListenOptions | { readonly fd: number }, service: string): Promise<Outcome<Server>>;
  /** A fresh connection with `queue`. */
  attachQueue(socket: Socket): void;
  attachDirectory(socket: Socket): void;
  /** A fresh connection with `hook`, for clients whose messages a program of the site's is to see. */
  attachHook(socket: Socket): void;
}

/** Transactions under way may finish within this. */
const stopMs = 5_000;
/** For a proxy to say in whose name it comes. */
const introductionSeconds = 10;
const maxIntroducing = 1_000;
const tooMany = "421 4.7.0 too many connections, try again later";
const denied = "554 5.7.1 this server takes no mail from your address";

/** What a socket knows of its ends. */
type Ends = Pick<Socket, "remoteAddress" | "remotePort" | "localAddress" | "localPort">;
/** A client on a socket in the file system has no address; it is on this host, and allowed what the host is. */
const thisHost: Ends = { remoteAddress: "127.0.0.1", remotePort: 0 };

interface Terms {
  readonly settings: Settings;
  readonly rulesFor: RulesFor;
  /** They say in whose name they come, and must (control/proxyclients). */
  readonly proxies: Networks;
}

export function createSmtpService(options: ServiceOptions): Outcome<SmtpService> {
  const { settings, ipAddresses, processes, log } = options;
  const initial = createRules(settings, ipAddresses);
  if (initial.kind !== "done") return initial;
  const initialTls = createContexts(options.certificates, settings);
  if (initialTls.kind !== "done") return initialTls;
  const initialProxies = createNetworks(settings.proxyclients);
  if (initialProxies.kind !== "done") return initialProxies;
  let terms: Terms = { settings, rulesFor: initial.value, proxies: initialProxies.value };
  let tls = initialTls.value;
  const admission = createAdmission(limitsOf(settings, processes));
  const queue = createQueueLink();
  const hook = createQueueLink();
  const directory = createDirectoryClient();
  const rates = createRates(settings, processes, () => seconds);
  const recipients = createRecipients({ settings, directory, processes, seconds: () => seconds });
  const servers: Server[] = [];
  const clients = createClients();
  let seconds = 0;
  let lastNumber = 0;
  const around: Surroundings = {
    uid: process.getuid?.() ?? 0,
    reclaim: createReclaimer(),
    get seconds() {
      return seconds;
    },
    get isStopping() {
      return clients.isStopping;
    },
    get tls() {
      return tls;
    },
    recipients,
    rates,
    directory,
    nowMs: Date.now,
    log,
  };

  /** Proxies that have not said yet in whose name they come, and until when they may. */
  const introducing = new Map<Socket, number>();
  const meetProxy = (socket: Socket, service: string, address: string) => {
    if (introducing.size >= maxIntroducing) return void socket.destroy();
    introducing.set(socket, seconds + introductionSeconds);
    socket.on("close", () => introducing.delete(socket));
    readIntroduction(socket, (introduction) => {
      introducing.delete(socket);
      if (introduction !== "nonsense" && introduction.client) {
        const { address: remoteAddress, port: remotePort, ...local } = introduction.client;
        return accept(socket, service, { remoteAddress, remotePort, ...local });
      }
      if (introduction === "nonsense")
        log({ event: "warning", text: `a proxy at ${address} does not say who its client is` });
      socket.destroy();
    });
  };

  const accept = (socket: Socket, service: string, from: Ends | undefined) => {
    const ends = from ?? socket;
    const { remoteAddress: address, remotePort: port } = ends;
    if (address === undefined || port === undefined) return void socket.destroy(); // gone already
    const number = ++lastNumber;
    const { rulesFor, settings } = terms;
    const rules = rulesFor(address);
    const startsWithTls = service === "smtps";
    if (startsWithTls && !tls) return void socket.destroy(); // its last certificate was taken away since the start
    const isGuessing = rules !== "denied" && !rules.mayRelay && recipients.isGuessing(address);
    if (rules === "denied" || isGuessing || !admission.enter(address)) {
      const reply = rules === "denied" ? denied : isGuessing ? tooManyUnknown : tooMany;
      log({ event: "refusal", connection: number, address, command: "", reply });
      return startsWithTls ? void socket.destroy() : turnAway(socket, reply);
    }
    log({ event: "connection", connection: number, address, port, service });
    const connectionTerms: ConnectionTerms = {
      number,
      address,
      rules: service === "lmtp" ? { ...rules, isLmtp: true } : rules,
      service,
      access: settings,
      startsWithTls,
      queue: rules.queueProgram === undefined ? queue : wayOf(hook, { address, port, ...localEndOf(ends) }),
      me: settings.me,
      submission: {
        idhost: settings.idhost,
        completes: settings.completeheader === 1,
        checksFrom: settings.fromcheck === "reject",
        hidesClient: settings.hideclient === 1,
      },
      maxHops: settings.maxhops,
      maxHeaderOctets: settings.maxheaderbytes,
      greetingSeconds: service === "smtp" && !rules.mayRelay ? settings.greetingdelay : 0,
      messageSeconds: settings.timeoutmessage,
      relaysForReaders: service === "smtp" && settings.popbeforesmtp > 0,
      maxUnknownRecipients: settings.maxunknownrecipients,
      tarpitSeconds: settings.unknownrecipientdelay,
      timeoutSeconds: settings.timeoutsmtpd,
    };
    clients.add(
      (onGone) =>
        new Connection(socket, around, connectionTerms, () => {
          admission.leave(address);
          onGone();
        }),
    );
  };

  return done({
    async listen(on, service) {
      let from: Ends | undefined;
      const onSocket = (socket: Socket): void => {
        const { remoteAddress } = socket;
        if (remoteAddress !== undefined && terms.proxies.has(remoteAddress)) meetProxy(socket, service, remoteAddress);
        else accept(socket, service, from);
      };
      const listening = await listen(on, { service, options: { allowHalfOpen: true }, onSocket, log });
      if (listening.kind !== "done") return listening;
      const address = listening.value.address();
      if (address === null || typeof address !== "object") from = thisHost;
      servers.push(listening.value);
      return listening;
    },
    attachQueue: queue.attach,
    attachDirectory: directory.attach,
    attachHook: hook.attach,
    reload(fresh, certificates) {
      const rulesFor = createRules(fresh, ipAddresses);
      if (rulesFor.kind !== "done") return rulesFor;
      const contexts = createContexts(certificates, fresh);
      if (contexts.kind !== "done") return contexts;
      const proxies = createNetworks(fresh.proxyclients);
      if (proxies.kind !== "done") return proxies;
      tls = contexts.value;
      recipients.reload(fresh);
      rates.reload(fresh);
      terms = { settings: fresh, rulesFor: rulesFor.value, proxies: proxies.value };
      admission.limit(limitsOf(fresh, processes));
      return done(undefined);
    },
    tick() {
      seconds++;
      for (const [socket, until] of introducing) if (seconds >= until) socket.destroy();
      clients.tick();
    },
    async stop() {
      for (const server of servers) server.close();
      for (const socket of introducing.keys()) socket.destroy();
      await clients.stop(stopMs);
    },
  });
}

/** To know it is a system call, and only `hook` is told. */
const localEndOf = ({ localAddress = "", localPort = 0 }: Ends) => ({ localAddress, localPort });

function limitsOf(settings: Settings, processes: number): AdmissionLimits {
  return {
    maxConnections: Math.ceil(settings.maxconnections / processes),
    maxConnectionsPerAddress: Math.ceil(settings.maxconnectionsperaddress / processes),
  };
}
