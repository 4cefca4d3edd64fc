import type { Socket } from "node:net";
import type { Event } from "../../protocol/event/event.ts";
import { done, enhancedCode, type Outcome, temporary } from "../../protocol/outcome.ts";
import { encodeQmqpReply } from "../../protocol/qmqp/reply.ts";
import type { Submission } from "../../services/submission/queue-client.ts";
import { type Budget, readRequest } from "./request.ts";

/** Who connected: a process of this system, as the kernel knows it, or another host. */
export interface Caller {
  /** "uid 1000" or an address: so many connections each, and the name in the log. */
  readonly name: string;
  /** For the log of the queue. */
  readonly uid: number;
  /** The trace field that goes in front of the message, with its line ends. */
  received(nowMs: number): string;
}

export interface Limits {
  readonly connections: number;
  readonly connectionsPerCaller: number;
  readonly idleMs: number;
  readonly sessionMs: number;
  /** Given an answer, a client has this long to read it and close. */
  readonly lingerMs: number;
  /** Of all requests under way together: what is kept in memory until they are complete. */
  readonly addressOctets: number;
  /** How long sessions may go on after `stop`. */
  readonly stopMs: number;
}

/** One hour for a request is QMQP's own limit. */
export const limits: Limits = {
  connections: 200,
  connectionsPerCaller: 50,
  idleMs: 300_000,
  sessionMs: 3_600_000,
  lingerMs: 30_000,
  addressOctets: 16_777_216,
  stopMs: 10_000,
};

export interface Surroundings {
  readonly submit: (socket: Socket) => Promise<Outcome<Submission>>;
  readonly identify: (socket: Socket) => Outcome<Caller>;
  readonly log: (event: Event) => void;
  readonly now: () => number;
  /** The number of a new connection, for the log. */
  readonly number: () => number;
}

export interface Service {
  take(socket: Socket): void;
  /** Resolves when the last session has ended; those that take too long are cut off. */
  stop(): Promise<void>;
}

/** Answers QMQP on any number of connections, one message each, and passes the messages on. */
export function createService(surroundings: Surroundings, bounds: Limits = limits): Service {
  const sockets = new Set<Socket>();
  const admit = createAdmission(surroundings, bounds);
  const budget: Budget = { octets: bounds.addressOctets };
  let whenEmpty = (): void => {};

  const answer = (socket: Socket, outcome: Outcome<string>): void => {
    socket.setTimeout(bounds.lingerMs);
    socket.end(encodeQmqpReply(outcome));
    socket.resume(); // what it still sends is thrown away, so that it gets to read the answer
  };
  const converse = async (socket: Socket, caller: Caller): Promise<void> => {
    const accepted = await transfer(socket, caller, surroundings, budget);
    if (!accepted) return void socket.destroy();
    const connection = surroundings.number();
    if (accepted.kind === "done") {
      const { message } = accepted.value;
      surroundings.log({ event: "accepted", connection, ...accepted.value });
      return answer(socket, done(`ok ${Math.floor(surroundings.now() / 1000)} qp ${message}`));
    }
    const text = `${accepted.text} (#${enhancedCode(accepted)})`;
    surroundings.log({ event: "refusal", connection, address: caller.name, command: "QMQP", reply: text });
    answer(socket, accepted);
  };

  return {
    take(socket) {
      const deadline = setTimeout(() => socket.destroy(), bounds.sessionMs);
      socket.setTimeout(bounds.idleMs, () => socket.destroy());
      socket.on("error", () => {});
      socket.once("close", () => {
        clearTimeout(deadline);
        sockets.delete(socket);
        if (sockets.size === 0) whenEmpty();
      });
      sockets.add(socket);
      const caller = admit(socket, sockets.size);
      if (caller.kind !== "done") return answer(socket, caller);
      converse(socket, caller.value).catch((error: unknown) => {
        if (!socket.destroyed) throw error; // no torn connection, then: a bug
      });
    },
    async stop() {
      if (sockets.size === 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      whenEmpty = resolve;
      const deadline = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, bounds.stopMs);
      await promise;
      clearTimeout(deadline);
    },
  };
}

/** Who may come in: so many at once, and so many of one caller. */
function createAdmission(
  { identify }: Surroundings,
  bounds: Limits,
): (socket: Socket, connections: number) => Outcome<Caller> {
  const perCaller = new Map<string, number>();
  const count = (name: string, more: 1 | -1): void => {
    const now = (perCaller.get(name) ?? 0) + more;
    if (now === 0) perCaller.delete(name);
    else perCaller.set(name, now);
  };
  return (socket, connections) => {
    if (connections > bounds.connections) return temporary("3.2", "too many connections, try again later");
    const caller = identify(socket);
    if (caller.kind !== "done") return caller;
    const { name } = caller.value;
    if ((perCaller.get(name) ?? 0) >= bounds.connectionsPerCaller) {
      return temporary("3.2", `too many connections of ${name}, try again later`);
    }
    count(name, 1);
    socket.once("close", () => count(name, -1));
    return caller;
  };
}

/** One request from the client to `queue`. `undefined` when the client went away before it was complete. */
async function transfer(
  socket: Socket,
  caller: Caller,
  { submit, now }: Surroundings,
  budget: Budget,
): Promise<Outcome<{ message: number; recipients: number }> | undefined> {
  const submitted = await submit(socket);
  if (submitted.kind !== "done") return submitted;
  const submission = submitted.value;
  socket.once("close", submission.abandon); // also ends a wait for room
  try {
    await submission.write(Buffer.from(caller.received(now()), "latin1"));
    const request = await readRequest(socket, submission, budget);
    if (request?.kind !== "done") return request;
    const { reversePath, forwardPaths } = request.value;
    socket.setTimeout(0);
    submission.commit(reversePath, forwardPaths, caller.uid);
    const outcome = await submission.outcome;
    if (outcome.kind !== "done") return outcome;
    return done({ message: outcome.value, recipients: forwardPaths.length });
  } finally {
    submission.abandon();
  }
}
