#!/usr/bin/env node
import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import { createChannel } from "../../services/channel/channel.ts";
import { type Given, type Program, runProgram } from "../../services/program/program.ts";
import { openSqliteStorage } from "../../services/storage/open-sqlite.ts";
import { systemClock } from "./clock.ts";
import { serveOperator } from "./operator-socket.ts";
import { createQueue } from "./queue.ts";

process.umask(0o077);
runProgram("queue", begin);

async function begin({ settings, facts, log }: Given): Promise<Outcome<Program>> {
  const folder = new Map(Object.entries(facts)).get("folder");
  if (typeof folder !== "string") return permanent("3.5", "queue was not told its folder");
  const opened = await openSqliteStorage(folder, systemClock.wallMs());
  if (opened.kind !== "done") return opened;
  const { storage, alerts } = opened.value;
  for (const text of alerts) log({ event: "alert", text });
  const queue = createQueue({ storage, clock: systemClock, settings, log, uid: process.getuid?.() ?? 0 });
  return done({
    peer: (name, socket) => queue.connect(name, (events) => createChannel(socket, events)),
    operator: (socket, uid) => void serveOperator(socket, uid, queue.operate),
    reload: (changed) => queue.reload(changed),
    stop: () => queue.stop(),
  });
}
