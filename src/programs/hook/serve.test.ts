import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { socketPair } from "../../../test/support/delivery-queue.ts";
import { readSettings } from "../../protocol/control/parse.ts";
import { type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { headerOctets, writeHeader } from "../../protocol/wire/frame.ts";
import { bodyType, client as clientFrame, open, submissionWindowOctets } from "../../protocol/wire/submission.ts";
import { createQueueClient } from "../../services/submission/queue-client.ts";
import { type ProgramLimits, programLimits } from "./programs.ts";
import { createHook, type Hook } from "./serve.ts";
import { readTerms } from "./terms.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-hook-"));
const hooks: Hook[] = [];
after(async () => {
  for (const hook of hooks) await hook.stop(); // what they had begun to write is gone by then
  rmSync(folder, { recursive: true });
});
const client = { address: "192.0.2.7", port: 1_234, localAddress: "192.0.2.1", localPort: 25 };

function write(name: string, script: string): string {
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, name), 0o755);
  return join(folder, name);
}

function hookWith(control: Readonly<Record<string, string>>, limits: ProgramLimits = programLimits): Hook {
  const settings = readSettings(new Map(Object.entries({ me: "mx.example", ...control })));
  if (settings.kind !== "done") return assert.fail(settings.text);
  const orderFor = readTerms(settings.value, "/the/root");
  if (orderFor.kind !== "done") return assert.fail(orderFor.text);
  const hook = createHook({ folder, home: folder, orderFor: orderFor.value, limits });
  hooks.push(hook);
  return hook;
}

async function linkTo(hook: Hook) {
  const [theirs, ours] = await socketPair();
  hook.attach(theirs);
  const queue = createQueueClient();
  queue.attach(ours);
  return { queue, ours };
}

/** Hands one message to a hook, from `client`. */
async function submit(hook: Hook, body: string, forwardPaths = ["a@x"], from = client): Promise<Outcome<number>> {
  const { queue, ours } = await linkTo(hook);
  const submission = queue.submit(from);
  if (submission.kind !== "done") return assert.fail(submission.text);
  for (const piece of body.match(/[\s\S]{1,50000}/g) ?? []) await submission.value.write(Buffer.from(piece, "latin1"));
  submission.value.commit("s@x", forwardPaths, 0);
  const outcome = await submission.value.outcome;
  ours.destroy();
  return outcome;
}

test("§17.15 hook runs the program that control/qmailqueue names, with the client's environment", async () => {
  const program = write("tell", "cat >m; cat <&1 >e; env | sort >v; echo $$ >p");
  const rules = '192.0.2.0/24:allow,RELAYCLIENT="@out",EXTRA="1"';
  const body = `${"x".repeat(99)}\n`.repeat(10 * Math.ceil(submissionWindowOctets / 1_000));
  const outcome = await submit(hookWith({ qmailqueue: program, smtprules: rules }), body, ["a@x", "b@y"]);
  const saved = (name: string): string => readFileSync(join(folder, name), "latin1");
  assert.deepEqual(outcome, { kind: "done", value: Number(saved("p")) });
  assert.ok(saved("m") === body);
  assert.equal(saved("e"), "Fs@x\0Ta@x\0Tb@y\0\0");
  const ignored = /^(?:PWD|OLDPWD|SHLVL|_|PATH)=.*\n/gm;
  assert.equal(
    saved("v").replace(ignored, ""),
    "EXTRA=1\nPOSTERN_ROOT=/the/root\nPROTO=TCP\nRELAYCLIENT=@out\nTCPLOCALHOST=mx.example\nTCPLOCALIP=192.0.2.1\n" +
      "TCPLOCALPORT=25\nTCPREMOTEIP=192.0.2.7\nTCPREMOTEPORT=1234\n",
  );
});

test("hook runs what QMAILQUEUE in smtprules names for a client, and its own settings decide", async () => {
  const smtprules = `192.0.2.0/24:allow,QMAILQUEUE="${write("no", "exit 31")}"`;
  const hook = hookWith({ smtprules });
  assert.equal((await submit(hook, "text\n")).kind, "permanent");
  assert.deepEqual(
    await submit(hook, "text\n", ["a@x"], { ...client, address: "198.51.100.1" }),
    temporary("3.5", "control/qmailqueue names no program"),
  );
});

test("hook has no more programs running than it may; who waits too long is told to come again", async () => {
  const program = write("slow", "read line; sleep 1000");
  const limits = { programs: 1, waiting: 1, waitMs: 200, longestMs: 1_000 };
  const hook = hookWith({ qmailqueue: program }, limits);
  const outcomes = await Promise.all([1, 2, 3].map(() => submit(hook, "go\n")));
  const texts = outcomes.map((outcome) => (outcome.kind === "done" ? "" : outcome.text)).sort();
  const busy = "too many messages are being looked at, try again later";
  assert.deepEqual(texts, ["qq timeout", busy, busy]);
});

for (const forwardPaths of [[""], ["a\0b@x"], ["x".repeat(2_000)]]) {
  test(`hook lets no address ${JSON.stringify(forwardPaths[0]?.slice(0, 10))} into an envelope`, async () => {
    const hook = hookWith({ qmailqueue: write("yes", "exit 0") });
    const outcome = await submit(hook, "x\n", forwardPaths);
    assert.deepEqual(outcome, permanent("1.3", "an address has control characters or is too long"));
  });
}

test("hook keeps nothing of a message that is given up, or whose sender is gone", async () => {
  const hook = hookWith({ qmailqueue: write("never", "echo >started") });
  const { queue, ours } = await linkTo(hook);
  const [one, other] = [queue.submit(client), queue.submit(client)];
  assert.ok(one.kind === "done" && other.kind === "done");
  await one.value.write(Buffer.from("x"));
  one.value.abandon();
  await other.value.write(Buffer.from("x"));
  ours.end();
  assert.equal((await other.value.outcome).kind, "temporary");
  await hook.stop();
  assert.deepEqual(
    readdirSync(folder).filter((name) => name === "started" || name.startsWith("message-")),
    [],
  );
});

test("hook answers what comes while it stops, and waits for the program that runs", async () => {
  const hook = hookWith({ qmailqueue: write("brief", "cat >/dev/null") });
  const running = submit(hook, "x\n");
  assert.equal((await running).kind, "done");
  const late = submit(hook, "x\n");
  await hook.stop();
  assert.equal((await late).kind, "temporary");
});

const body = (stream: number, octets: number): Buffer => {
  const frame = Buffer.alloc(headerOctets + octets);
  writeHeader(frame, bodyType, stream, octets);
  return frame;
};
const hostile = [
  { name: "a body that was not opened", frames: [body(1, 1)] },
  { name: "a stream opened twice", frames: [open.encode(1, {}), open.encode(1, {})] },
  { name: "two clients", frames: [open.encode(1, {}), clientFrame.encode(1, client), clientFrame.encode(1, client)] },
  {
    name: "more than there is credit for",
    frames: [open.encode(1, {}), body(1, 65_000), body(1, 65_000), body(1, 65_000)],
  },
  { name: "a frame that only we may send", frames: [open.encode(1, {}), Buffer.from([8, 0, 0, 0, 1, 0, 0, 0, 0])] },
];

for (const { name, frames } of hostile) {
  test(`hook closes the channel on ${name}`, async () => {
    const hook = hookWith({ qmailqueue: "/bin/false" });
    const [theirs, ours] = await socketPair();
    hook.attach(theirs);
    const { promise, resolve } = Promise.withResolvers<void>();
    ours
      .on("close", resolve)
      .on("error", () => {})
      .resume();
    ours.write(Buffer.concat(frames));
    await promise;
  });
}
