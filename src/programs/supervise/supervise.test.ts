import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import type { Outcome } from "../../protocol/outcome.ts";
import { controlSocket, embeddedLayout } from "../../services/layout/layout.ts";
import { setUp } from "./set-up.ts";
import type { ProgramStatus } from "./status.ts";
import { supervise } from "./supervise.ts";

/** A program that says what it hears, and does nothing else. */
const fake = (name: string): string => `
import { writeSync } from "node:fs";
const say = (text) => writeSync(2, "${name} " + text + "\\n");
process.on("message", (message, socket) => {
  if (message.kind === "start") {
    if (message.settings.me === "bad-${name}") { say("cannot be bad"); process.exit(100); }
    process.send({ kind: "ready" });
  }
  if (message.kind === "peer") {
    socket.on("data", (words) => say("hears " + words));
    socket.on("error", () => {});
    socket.write("${name}");
  }
  if (message.kind === "operator") socket.end('{"ok":"queue"}\\n');
  if (message.kind === "reload") say("reloads as " + message.settings.me);
  if (message.kind === "stop") { say("stops"); process.exit(0); }
});
process.on("disconnect", () => process.exit(0));
process.send({ kind: "hello" });
`;
const names = ["logger", "queue", "directory", "local", "remote", "smtpd", "qmqpd"] as const;

interface Running {
  readonly ended: Promise<Outcome<void>>;
  /** Resolves when the text was said `times` times, since the start. */
  said(text: string, times?: number): Promise<void>;
  readonly lines: readonly string[];
  ask(command: string): Promise<Record<string, unknown>>;
  setMe(me: string): void;
}

async function run(t: TestContext, me: string): Promise<Running> {
  const root = mkdtempSync(join(tmpdir(), "postern-supervise-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const code = join(root, "code");
  for (const name of names) {
    mkdirSync(join(code, "programs", name), { recursive: true });
    writeFileSync(join(code, "programs", name, "main.ts"), fake(name));
  }
  writeFileSync(join(root, "package.json"), '{"type":"module"}');
  const layout = embeddedLayout(root);
  const setMe = (text: string): void => writeFileSync(join(layout.control, "me"), text);
  mkdirSync(layout.control);
  setMe(me);
  writeFileSync(join(layout.control, "smtplisten"), "127.0.0.1:0");
  writeFileSync(join(layout.control, "submissionlisten"), "[::1]:0");
  writeFileSync(join(layout.control, "smtpdprocesses"), "2");
  const options = { embedded: true, root };
  const set = await setUp(options);
  assert.equal(set.kind, "done", JSON.stringify(set));

  const lines: string[] = [];
  const waiting: (() => void)[] = [];
  const complain = (line: string): void => {
    console.error(line);
    lines.push(line);
    for (const wake of waiting.splice(0)) wake();
  };
  const said = async (text: string, times = 1): Promise<void> => {
    while (lines.filter((line) => line.includes(text)).length < times) {
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
  };
  const ask = async (command: string): Promise<Record<string, unknown>> => {
    const socket = connect(controlSocket(layout));
    socket.write(`${JSON.stringify({ command })}\n`);
    const [line]: unknown[] = await once(createInterface(socket), "line");
    socket.destroy();
    return JSON.parse(String(line));
  };
  const ended = supervise(options, { ...set.value, code }, { complain, running: () => complain("running") });
  t.after(async () => {
    process.emit("SIGTERM");
    await ended;
  });
  return { ended, said, lines, ask, setMe };
}

test("supervise() runs the crew, starts again who died, hands over, reloads, stops in order", {
  timeout: 60_000,
}, async (t) => {
  const { ended, said, lines, ask, setMe } = await run(t, "one");
  await said("running");
  for (const [one, other, times] of [
    ["queue", "smtpd", 2],
    ["smtpd", "queue", 2],
    ["qmqpd", "queue", 1],
    ["local", "queue", 1],
    ["queue", "remote", 1],
    ["directory", "smtpd", 2],
    ["local", "directory", 1],
    ["logger", "smtpd", 2],
    ["logger", "local", 1],
  ] as const) {
    await said(`${one} hears ${other}`, times);
  }

  const status = await ask("status");
  const programs = status.programs as readonly ProgramStatus[];
  assert.deepEqual(programs.map(({ name }) => name).sort(), [...names, "smtpd", "supervise"].sort());
  for (const { name, walls, memoryKiB } of programs) {
    assert.equal(walls.seccomp, name !== "local" && name !== "supervise", name);
    assert.ok((memoryKiB ?? 0) > 1_000, name);
  }

  const victim = programs.find(({ name }) => name === "queue")?.pid;
  assert.ok(victim);
  process.kill(victim, "SIGKILL");
  await said("queue (pid");
  await said("queue hears smtpd", 4);
  await said("smtpd hears queue", 4);
  await said("local hears queue", 2);
  assert.deepEqual(await ask("queue"), { ok: "queue" });
  assert.match(String((await ask("nonsense")).error), /no such command/);

  setMe("two");
  assert.deepEqual(await ask("reload"), { ok: true, notes: [] });
  await said("queue reloads as two");
  await said("local reloads as two");

  assert.deepEqual(await ask("stop"), { ok: true });
  assert.equal((await ended).kind, "done");
  const order = lines.filter((line) => line.endsWith(" stops")).map((line) => line.split(" ")[0]);
  assert.equal(order.indexOf("queue"), 3, String(order));
  assert.equal(order.at(-1), "logger");
});

test("supervise() stops all when a program cannot work with its configuration", { timeout: 60_000 }, async (t) => {
  const { ended, said } = await run(t, "bad-remote");
  const outcome = await ended;
  assert.equal(outcome.kind, "permanent");
  await said("remote cannot be bad");
});
