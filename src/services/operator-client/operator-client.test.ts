import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { controlSocket, embeddedLayout, type Layout } from "../layout/layout.ts";
import { askOnce, openQueue } from "./operator-client.ts";

async function withServer(serve: (socket: Socket) => void, check: (layout: Layout) => Promise<void>): Promise<void> {
  const layout = embeddedLayout(mkdtempSync(join(tmpdir(), "postern-operator-")));
  mkdirSync(layout.run);
  const server = createServer(serve).listen(controlSocket(layout));
  await once(server, "listening");
  await check(layout);
  server.close();
  rmSync(join(layout.run, ".."), { recursive: true });
}

const answers = [
  { line: '{"pid":5}\n', outcome: { kind: "done", value: { pid: 5 } } },
  { line: '{"error":"no such command"}\n', outcome: { kind: "permanent", status: "3.0", text: "no such command" } },
  { line: "nonsense\n", outcome: { kind: "temporary", status: "3.0", text: "the server's answer is not JSON" } },
  { line: "", outcome: { kind: "temporary", status: "3.0", text: "the server closed the connection" } },
] as const;

for (const { line, outcome } of answers) {
  test(`askOnce() takes ${JSON.stringify(line)} for ${outcome.kind}`, async () => {
    const serve = (socket: Socket): void => {
      socket.once("data", (request) => {
        assert.equal(String(request), '{"command":"status"}\n');
        socket.end(line);
      });
    };
    await withServer(serve, async (layout) => assert.deepEqual(await askOnce(layout, "status"), outcome));
  });
}

test("openQueue() waits for the queue's greeting, then reads lines however they come", async () => {
  const serve = (socket: Socket): void => {
    socket.write('{"ok":"queue"}\n{"row":{"id":1}}\n{"ro');
    socket.once("data", () => setImmediate(() => socket.end('w":{"id":2}}\n{"end":{"count":2}}\n')));
  };
  await withServer(serve, async (layout) => {
    const queue = await openQueue(layout);
    if (queue.kind !== "done") return assert.fail(queue.text);
    const seen = [];
    for (let n = 0; n < 3; n++) {
      const answer = await queue.value.next();
      seen.push(answer.kind === "done" ? answer.value : answer.text);
    }
    assert.deepEqual(seen, [{ row: { id: 1 } }, { row: { id: 2 } }, { end: { count: 2 } }]);
    queue.value.close();
  });
});

test("askOnce() says where it looked for a server that does not run", async () => {
  const outcome = await askOnce(embeddedLayout("var-of-nobody"), "status");
  assert.deepEqual(outcome, {
    kind: "temporary",
    status: "3.0",
    text: "postern is not running in ./var-of-nobody (no ./var-of-nobody/run/control)",
  });
});
