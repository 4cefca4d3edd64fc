import type { ChildProcess } from "node:child_process";
import type { Socket } from "node:net";
import { launch } from "../../services/launch/launch.ts";
import type { LaunchPlan } from "../../services/launch/plan.ts";
import { exitMisconfigured, type FromSupervise } from "../../services/program/message.ts";
import { afterDeath } from "./backoff.ts";
import { guardChannel } from "./channel-guard.ts";
import { relayComplaints } from "./complaints.ts";
import type { ProgramName } from "./walls.ts";

export interface MemberOptions {
  readonly name: ProgramName;
  readonly plan: LaunchPlan;
  /** Descriptors of listeners it is given, by service. */
  readonly listeners: Readonly<Record<string, readonly number[]>>;
  /** Descriptors it holds and does not use. */
  readonly held: readonly number[];
}

export interface MemberEvents {
  /** It runs inside its walls: now it may be sent `start`. */
  readonly onHello: (member: Member) => void;
  readonly onReady: (member: Member) => void;
  readonly onDied: (member: Member, death: Death) => void;
  readonly onComplaint: (line: string) => void;
}

export interface Death {
  readonly pid: number;
  readonly why: string;
  readonly againInMs: number;
  /** It ended so before it was ever ready, and is not started again. */
  readonly misconfigured: boolean;
}

/** A machine that is much too busy is no reason to kill what is about to start: it would never get there. */
const helloTimeoutMs = 120_000;
const lastWordsTimeoutMs = 500;
/** A program that takes none of what it is sent would hold a descriptor of ours for each restart of its peers. */
const maxInTransit = 64;
/** stdin, stdout, stderr and the channel come first. */
const firstListener = 4;

/** One program, started again and again. */
export class Member {
  readonly name: ProgramName;
  readonly plan: LaunchPlan;
  readonly #options: MemberOptions;
  readonly #events: MemberEvents;
  #child: ChildProcess | undefined;
  #saidHello = false;
  #wasReady = false;
  #stopping = false;
  #deathsInARow = 0;
  #restarts = 0;
  #startedMs = 0;
  #again: NodeJS.Timeout | undefined;
  #gone = Promise.withResolvers<void>();
  /** Sockets on their way to the program; ours to close if it dies before it has them. */
  readonly #inTransit = new Set<Socket>();

  constructor(options: MemberOptions, events: MemberEvents) {
    this.name = options.name;
    this.plan = options.plan;
    this.#options = options;
    this.#events = events;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }
  /** It said hello, and was sent `start`. */
  get running(): boolean {
    return this.#saidHello && !this.#stopping;
  }
  get ready(): boolean {
    return this.#wasReady;
  }
  get restarts(): number {
    return this.#restarts;
  }
  get uptimeMs(): number {
    return performance.now() - this.#startedMs;
  }
  /** Where the program finds its listeners: the same numbers at each start. */
  get listeners(): Readonly<Record<string, readonly number[]>> {
    let next = firstListener;
    return Object.fromEntries(
      Object.entries(this.#options.listeners).map(([service, fds]) => [service, fds.map(() => next++)]),
    );
  }

  start(): void {
    const fds = Object.values(this.#options.listeners).flat();
    const child = launch(this.plan, { stdio: ["ignore", "ignore", "pipe", "ipc", ...fds, ...this.#options.held] });
    this.#child = child;
    if (child.pid !== undefined) guardChannel(child, () => this.#breached(child));
    this.#saidHello = false;
    this.#startedMs = performance.now();
    const hello = setTimeout(() => child.kill("SIGKILL"), helloTimeoutMs);
    if (child.stderr) relayComplaints(child.stderr, this.#events.onComplaint);
    child.on("message", (message: unknown) => {
      if (kindOf(message) === "hello" && !this.#saidHello) {
        clearTimeout(hello);
        this.#saidHello = true;
        if (!this.#stopping) this.#events.onHello(this);
      } else if (kindOf(message) === "ready" && this.#saidHello && !this.#stopping) {
        this.#wasReady = true;
        this.#events.onReady(this);
      }
    });
    let ended = false;
    const end = (code: number | null, signal: string | null): void => {
      if (ended) return;
      ended = true;
      clearTimeout(hello);
      this.#died(child.pid ?? 0, code, signal);
    };
    child.on("error", (error) => {
      if (child.pid !== undefined) return; // it could not be signalled or sent to: it is ending anyway
      this.#events.onComplaint(`postern: ${this.name}: cannot be started: ${error.message}`);
      end(null, null);
    });
    // Standard error is to be passed on to its end first, but somebody the program started may hold that open.
    child.on("exit", (code, signal) => setTimeout(() => end(code, signal), lastWordsTimeoutMs));
    child.on("close", end);
  }

  /** Sends in order. The socket is the program's from now on, or closed if it is gone. */
  send(message: FromSupervise, socket?: Socket): void {
    if (!this.#child?.connected) {
      socket?.destroy();
      return;
    }
    if (socket) this.#inTransit.add(socket);
    this.#child.send(message, socket, { keepOpen: false }, () => {
      if (socket) this.#arrived(socket);
    });
    if (this.#inTransit.size > maxInTransit) this.kill();
  }

  /** Resolves when the process is gone: by itself within `graceMs`, or killed. It is not started again. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#again);
    if (!this.#child) return;
    if (!this.#saidHello) this.#child.kill("SIGKILL");
    else this.send({ kind: "stop" });
    const grace = setTimeout(() => this.kill(), graceMs);
    await this.#gone.promise;
    clearTimeout(grace);
  }

  kill(): void {
    this.#child?.kill("SIGKILL");
  }

  #died(pid: number, code: number | null, signal: string | null): void {
    this.#child = undefined;
    this.#saidHello = false;
    for (const socket of this.#inTransit) this.#arrived(socket);
    if (this.#stopping) {
      this.#gone.resolve();
      return;
    }
    const { deathsInARow, waitMs } = afterDeath(this.#deathsInARow, this.uptimeMs);
    this.#deathsInARow = deathsInARow;
    const misconfigured = code === exitMisconfigured && !this.#wasReady;
    this.#events.onDied(this, {
      pid,
      why: signal === null ? `exit ${code}` : `signal ${signal}`,
      againInMs: waitMs,
      misconfigured,
    });
    if (this.#stopping || misconfigured) return;
    this.#restarts++;
    this.#again = setTimeout(() => this.start(), waitMs);
  }

  #breached(child: ChildProcess): void {
    this.#events.onComplaint(`postern: ${this.name}: said on its channel what no program of ours says; it is ended`);
    child.kill("SIGKILL");
  }

  #arrived(socket: Socket): void {
    this.#inTransit.delete(socket);
    socket.destroy();
  }
}

const kindOf = (message: unknown): unknown =>
  typeof message === "object" && message !== null && "kind" in message ? message.kind : undefined;
