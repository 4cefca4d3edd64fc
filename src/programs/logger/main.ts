#!/usr/bin/env node
import type { Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import type { Logged } from "../../protocol/event/event.ts";
import { done, permanent } from "../../protocol/outcome.ts";
import { runProgram } from "../../services/program/program.ts";
import { createLineCutter, createStamp } from "./lines.ts";
import { openLogFile } from "./log-file.ts";

/** Chunks taken together before they are written, at most: a turn of the loop, or this many. */
const maxBatch = 256;

/** How long programs that do not close may keep the log open after `stop`. */
const stopMs = 5_000;

runProgram("logger", async ({ settings, facts }) => {
  const { folder } = facts;
  if (typeof folder !== "string") return permanent("3.5", "no folder for the log");
  const note = (text: string): Buffer => {
    const logged: Logged = { timeMs: Date.now(), program: "logger", event: "warning", text };
    return Buffer.from(`${JSON.stringify(logged)}\n`);
  };
  const opened = openLogFile(folder, settings, Date.now, note);
  if (opened.kind !== "done") return opened;
  const file = opened.value;
  let batch: Buffer[] = [];
  const flush = (): void => {
    if (batch.length > 0) file.write(batch);
    batch = [];
  };
  const add = (pieces: readonly Buffer[]): void => {
    if (batch.length === 0) setImmediate(flush);
    batch.push(...pieces);
    if (batch.length >= maxBatch) flush();
  };
  const peers = new Set<Socket>();
  return done({
    peer(name, socket) {
      const cut = createLineCutter();
      const stamp = createStamp(name);
      peers.add(socket);
      socket.on("data", (chunk: Buffer) => {
        const { octets, dropped } = stamp(cut(chunk));
        add(
          dropped > 0
            ? [...octets, note(`${dropped} lines of ${name} were too long or no events: not logged`)]
            : octets,
        );
      });
      socket.on("error", () => {});
      socket.on("close", () => peers.delete(socket));
    },
    reload: file.keep,
    // Stops last: what the others say at their end is read until they have closed.
    async stop() {
      const closed = Promise.all([...peers].map((socket) => new Promise((resolve) => socket.once("close", resolve))));
      await Promise.race([closed, setTimeout(stopMs)]);
      flush();
      file.close();
    },
  });
});
