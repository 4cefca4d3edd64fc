import type { Socket } from "node:net";
import type { Settings } from "../../protocol/control/table.ts";
import type { Event } from "../../protocol/event/event.ts";
import { done, type Outcome } from "../../protocol/outcome.ts";
import { createRules } from "../../protocol/routing/rules.ts";
import type { Rules } from "../../protocol/smtp/session.ts";
import { createReclaimer } from "../../services/memory/reclaim.ts";
import { type AdmissionLimits, createAdmission } from "../../services/submission/admission.ts";
import type { Client } from "../../services/submission/message-stream.ts";
import type { Submission } from "../../services/submission/queue-client.ts";
import { Connection } from "./connection.ts";

export interface ServiceOptions {
  readonly settings: Settings;
  readonly submit: () => Promise<Outcome<Submission>>;
  /** For clients whose messages a program of the site's is to see. */
  readonly submitToHook: (client: Client) => Promise<Outcome<Submission>>;
  readonly log: (event: Event) => void;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
  readonly bounds?: Bounds;
}

export interface Bounds {
  /** One hour for a connection is QMTP's own limit. */
  readonly sessionMs: number;
  /** Of all packages under way together: what is kept in memory until they are complete. */
  readonly addressOctets: number;
  /** How long packages under way may take once we are told to stop. */
  readonly stopMs: number;
}

export const bounds: Bounds = { sessionMs: 3_600_000, addressOctets: 16_777_216, stopMs: 5_000 };

/** The QMTP service. */
export interface QmtpService {
  take(socket: Socket): void;
  /** For the connections to come. Fails, and changes nothing, when the settings cannot be used. */
  reload(settings: Settings): Outcome<void>;
  /** Connections between packages end; the others within a bound. Resolves when all have. */
  stop(): Promise<void>;
}

/** Fails, permanently, when the settings cannot be used. */
export function createQmtpService(options: ServiceOptions): Outcome<QmtpService> {
  const { submit, submitToHook, log, now } = options;
  const { sessionMs, addressOctets, stopMs } = options.bounds ?? bounds;
  const initial = createRules(options.settings, []);
  if (initial.kind !== "done") return initial;
  let terms = { settings: options.settings, rulesFor: initial.value };
  const admission = createAdmission(limitsOf(options.settings));
  const connections = new Set<Connection>();
  let lastNumber = 0;
  let allGone: (() => void) | undefined;
  const around = {
    submit,
    budget: { octets: addressOctets },
    uid: process.getuid?.() ?? 0,
    now,
    log,
    reclaim: createReclaimer(),
    isStopping: () => allGone !== undefined,
  };

  const serve = (socket: Socket, address: string, rules: Rules): void => {
    const number = ++lastNumber;
    log({ event: "connection", connection: number, address, port: socket.remotePort ?? 0, service: "qmtp" });
    const { me, maxhops: maxHops, timeoutsmtpd } = terms.settings;
    const client = { address, rules, me, maxHops, idleMs: timeoutsmtpd * 1_000 };
    const { remotePort: port = 0, localAddress = "", localPort = 0 } = socket;
    const throughHook = () => submitToHook({ address, port, localAddress, localPort });
    const way = rules.queueProgram === undefined ? around : { ...around, submit: throughHook };
    const connection = new Connection(socket, number, client, way);
    const deadline = setTimeout(() => connection.end("an hour has passed"), sessionMs);
    connections.add(connection);
    socket.once("close", () => {
      clearTimeout(deadline);
      connections.delete(connection);
      admission.leave(address);
      if (connections.size === 0) allGone?.();
    });
    void connection.serve();
  };

  return done({
    take(socket) {
      const { remoteAddress: address } = socket;
      if (address === undefined) return void socket.destroy(); // gone already
      const rules = terms.rulesFor(address);
      if (rules !== "denied" && admission.enter(address)) return serve(socket, address, rules);
      const reply = rules === "denied" ? "this server takes no mail from your address" : "too many connections";
      log({ event: "refusal", connection: ++lastNumber, address, command: "", reply });
      socket.destroy(); // QMTP has no greeting to say it in; what is not answered is tried again
    },
    reload(settings) {
      const fresh = createRules(settings, []);
      if (fresh.kind !== "done") return fresh;
      terms = { settings, rulesFor: fresh.value };
      admission.limit(limitsOf(settings));
      return done(undefined);
    },
    async stop() {
      const { promise, resolve } = Promise.withResolvers<void>();
      allGone = resolve;
      for (const connection of connections) if (connection.isIdle) connection.end("stopped");
      if (connections.size === 0) resolve();
      const deadline = setTimeout(() => {
        for (const connection of connections) connection.end("stopped");
      }, stopMs);
      await promise;
      clearTimeout(deadline);
    },
  });
}

const limitsOf = (settings: Settings): AdmissionLimits => ({
  maxConnections: settings.maxconnections,
  maxConnectionsPerAddress: settings.maxconnectionsperaddress,
});
