import type { Socket } from "node:net";
import type { Settings } from "../../protocol/control/table.ts";
import type { Event } from "../../protocol/event/event.ts";
import type { Outcome } from "../../protocol/outcome.ts";
import { createEventLog } from "../event/event-log.ts";
import { settle } from "../memory/settle.ts";
import type { CertificateFiles } from "../tls/certificate.ts";
import { exitMisconfigured, exitStopped, exitTryAgain, type FromSupervise, type ToSupervise } from "./message.ts";

/** What a program is given at its start. */
export interface Given {
  readonly settings: Settings;
  readonly listeners: Readonly<Record<string, readonly number[]>>;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly certificates: readonly CertificateFiles[];
  readonly log: (event: Event) => void;
}

/** A program at work. All calls come from `supervise`. */
export interface Program {
  /** A fresh connection with the peer of that name; also after the peer was restarted. */
  peer?(name: string, socket: Socket): void;
  operator?(socket: Socket, uid: number): void;
  reload?(settings: Settings, certificates: readonly CertificateFiles[]): void;
  /** Takes nothing new, ends what runs within a bound of its own, resolves when it is done. */
  stop(): Promise<void>;
}

/**
 * The main of every program that `supervise` starts: says hello, waits for its settings, begins, does as told, exits.
 * A failure to begin ends the process with 100 or 111; so does an exception nobody expected, with 111.
 */
export function runProgram(name: string, begin: (given: Given) => Promise<Outcome<Program>>): void {
  process.title = `postern: ${name}`;
  const events = createEventLog();
  let program: Program | undefined;
  let stopping = false;
  const early: (() => void)[] = [];

  const stop = async (): Promise<void> => {
    if (stopping) return;
    stopping = true;
    await program?.stop();
    events.log({ event: "stopped", pid: process.pid });
    await events.flushed();
    process.exit(exitStopped);
  };
  const start = async (message: FromSupervise & { kind: "start" }): Promise<void> => {
    const begun = await begin({ ...message, log: events.log });
    if (begun.kind !== "done") {
      process.stderr.write(`postern: ${name}: ${begun.text}\n`);
      process.exit(begun.kind === "permanent" ? exitMisconfigured : exitTryAgain);
    }
    program = begun.value;
    events.log({ event: "started", pid: process.pid });
    for (const call of early.splice(0)) call();
    settle();
    tell({ kind: "ready" });
  };
  const whenBegun = (call: (program: Program) => void): void => {
    const running = program;
    if (running) call(running);
    else early.push(() => program && call(program));
  };

  process.on("message", (message: FromSupervise, handle: unknown) => {
    const socket = handle as Socket;
    switch (message.kind) {
      case "start":
        start(message).catch(fail);
        return;
      case "peer":
        if (message.name === "logger") events.attach(socket);
        else whenBegun((running) => running.peer?.(message.name, socket));
        return;
      case "operator":
        whenBegun((running) => running.operator?.(socket, message.uid));
        return;
      case "reload":
        whenBegun((running) => running.reload?.(message.settings, message.certificates));
        return;
      case "stop":
        stop().catch(fail);
        return;
      default:
        message satisfies never;
    }
  });
  // Signals reach the whole foreground group; only supervise decides what they mean.
  process.on("SIGINT", () => {});
  process.on("SIGHUP", () => {});
  process.on("SIGTERM", () => stop().catch(fail));
  process.on("disconnect", () => stop().catch(fail));
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
  tell({ kind: "hello" });

  function fail(error: unknown): void {
    process.stderr.write(`postern: ${name}: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(exitTryAgain);
  }
}

const tell = (message: ToSupervise): void => void process.send?.(message);
