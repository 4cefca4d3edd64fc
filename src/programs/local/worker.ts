import type { ChildProcess } from "node:child_process";
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import type { Outcome } from "../../protocol/outcome.ts";
import { deliveryCredit, ended, forward, report } from "../../protocol/wire/delivery.ts";
import type { Frame } from "../../protocol/wire/frame.ts";
import { probed, ran, run, written } from "../../protocol/wire/worker.ts";
import { createChannel } from "../../services/channel/channel.ts";
import type { Ids } from "../../services/directory/route.ts";
import { exitTryAgain, type RunningProgram, startUserProgram } from "./user-program.ts";

/** What a worker says of one delivery. Each returns "broken" when the worker may not say that. */
export interface WorkerEvents {
  onFrame(frame: Frame): undefined | "broken";
  /** It wrote on this device, and `folder` is our descriptor of a folder there. */
  onWritten(device: number, folder: number): void;
  /** The worker is gone, and with it the delivery. */
  onLost(): void;
}

/** A `deliver` process at work for one user. Believed in nothing: its code may be the user's by now. */
export interface Worker {
  readonly pid: number;
  /** Opens a stream; what is sent on it goes by the number returned. */
  open(events: WorkerEvents): number;
  send(frame: Buffer): void;
  pass(type: number, stream: number, payload: Buffer): void;
  /** Nothing more is expected on this stream. */
  forget(stream: number): void;
  readonly isIdle: boolean;
  readonly runningPrograms: number;
  /** When something last happened, by the clock that only goes forward. */
  readonly lastUsedMs: number;
  /** Ends it at once. */
  close(): void;
  /** Tells the users' programs it asked for to end. */
  endPrograms(): void;
}

export interface WorkerOptions {
  /** Who programs run as; absent: as we do. */
  readonly as: Ids | undefined;
  /** Where programs of ours find the server, in embedded mode. */
  readonly serverRoot: string | undefined;
  /** Whether one more program of this user may run now. */
  readonly mayRun: () => boolean;
  /** Opens a folder by a worker's own descriptor; fails unless it is on that device. */
  readonly openFolder: (pid: number, descriptor: number, device: number) => Outcome<number>;
  /** Flushes what was written through its folders, before they are closed. */
  readonly flush: () => void;
  /** It has nothing left to do. */
  readonly whenIdle: () => void;
  readonly whenClosed: (why: string) => void;
}

const tooManyPrograms = "too many programs of one user at once, try later. (#4.3.2)\n";
const maxFileSystems = 64;
/** A worker that asks for more and more and does not read it is found out here. Writes under way count to their end. */
const maxUnreadOctets = 67_108_864;
/** The descriptor of the connection in the worker. */
const workerFd = 3;

/** Speaks with the worker `child`, whose descriptor 3 is a pipe to us. */
export function createWorker(child: ChildProcess, options: WorkerOptions): Worker {
  const pid = child.pid ?? 0;
  const streams = new Map<number, WorkerEvents>();
  const programs = new Map<number, RunningProgram>();
  const folders = new Map<number, number>();
  let last = 0;
  let lastUsedMs = performance.now();

  const isIdle = (): boolean => streams.size === 0 && programs.size === 0;
  const pipe = child.stdio[workerFd];
  const channel = createChannel(pipe instanceof Socket ? pipe : new Socket(), {
    onFrame(frame) {
      const isAnswered = frame.type === deliveryCredit.type || frame.type === run.type;
      if (isAnswered && channel.pendingOctets > maxUnreadOctets) return "broken";
      if (frame.type === run.type) return startProgram(frame);
      const events = streams.get(frame.stream);
      if (!events) return undefined; // abandoned, and it did not know yet
      if (frame.type === written.type) return takeFolder(frame, events);
      return passedOn.includes(frame.type) ? events.onFrame(frame) : "broken";
    },
    onClose(why) {
      child.kill("SIGKILL"); // now, whatever it is at: others may repeat it
      for (const program of programs.values()) program.end();
      const lost = [...streams.values()];
      streams.clear();
      options.whenClosed(why);
      for (const events of lost) events.onLost();
      options.flush();
      for (const folder of folders.values()) closeSync(folder);
    },
  });
  child.on("error", () => channel.close());

  function takeFolder(frame: Frame, events: WorkerEvents): undefined | "broken" {
    const fields = written.decode(frame.payload);
    if (!fields) return "broken";
    let folder = folders.get(fields.device);
    if (folder === undefined) {
      if (folders.size >= maxFileSystems) return "broken";
      const opened = options.openFolder(pid, fields.folder, fields.device);
      if (opened.kind !== "done") return "broken";
      folder = opened.value;
      folders.set(fields.device, folder);
    }
    events.onWritten(fields.device, folder);
    return undefined;
  }

  function startProgram(frame: Frame): undefined | "broken" {
    const request = run.decode(frame.payload);
    if (!request || programs.has(frame.stream)) return "broken";
    const answer = (exitCode: number, signalled: boolean, output: string): void => {
      programs.delete(frame.stream);
      lastUsedMs = performance.now();
      channel.send(ran.encode(frame.stream, { exitCode, signalled: signalled ? 1 : 0, output }));
      if (isIdle()) options.whenIdle();
    };
    const { command, home, file, environment } = request;
    if (!streams.has(frame.stream))
      answer(0, true, ""); // abandoned: nobody waits for it
    else if ([command, home, ...environment].some((text) => text.includes("\0"))) return "broken";
    else if (!options.mayRun()) answer(exitTryAgain, false, tooManyPrograms);
    else {
      const { as, serverRoot } = options;
      const program = { as, serverRoot, command, home, workerPid: pid, file, environment };
      programs.set(
        frame.stream,
        startUserProgram(program, (end) => answer(end.exitCode, end.signalled, end.output)),
      );
    }
    return undefined;
  }

  return {
    pid,
    open(events) {
      do last = (last + 1) >>> 0;
      while (streams.has(last));
      streams.set(last, events);
      lastUsedMs = performance.now();
      return last;
    },
    send: channel.send,
    pass: channel.pass,
    forget(stream) {
      streams.delete(stream);
      lastUsedMs = performance.now();
      if (isIdle()) options.whenIdle();
    },
    get isIdle() {
      return isIdle();
    },
    get runningPrograms() {
      return programs.size;
    },
    get lastUsedMs() {
      return lastUsedMs;
    },
    close: () => channel.close(),
    endPrograms() {
      for (const program of programs.values()) program.end();
    },
  };
}

const passedOn: readonly number[] = [deliveryCredit.type, forward.type, report.type, ended.type, probed.type];
