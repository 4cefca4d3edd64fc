import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { encodeNetstring } from "../../protocol/netstring.ts";
import { submitByQmqp } from "./submit.ts";

const request = { message: [Buffer.from("a: b\n"), Buffer.from("\nc\n")], reversePath: "s@x", forwardPaths: ["r@y"] };
const wire = "23:8:a: b\n\nc\n,3:s@x,3:r@y,,";

async function withServer(serve: (socket: Socket) => void, check: (path: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "postern-qmqp-"));
  const path = join(folder, "socket");
  const server = createServer(serve).listen(path);
  await once(server, "listening");
  await check(path);
  server.close();
  rmSync(folder, { recursive: true });
}

const answers = [
  { name: "K", pieces: [encodeNetstring("Kok 1 qp 2")], outcome: { kind: "done", value: "ok 1 qp 2" } },
  {
    name: "D",
    pieces: [encodeNetstring("Dno (#5.1.1)")],
    outcome: { kind: "permanent", status: "1.1", text: "no" },
  },
  {
    name: "Z in pieces",
    pieces: [Buffer.from("15:Zlater"), Buffer.from(" (#4.3.1),")],
    outcome: { kind: "temporary", status: "3.1", text: "later" },
  },
  { name: "something else", pieces: [Buffer.from("220 hello\r\n")], text: /answer is not QMQP/ },
  { name: "nothing", pieces: [], text: /closed the connection without an answer/ },
] as const;

for (const { name, pieces, ...expected } of answers) {
  test(`submitByQmqp() understands the answer ${name}`, async () => {
    let received = "";
    const serve = async (socket: Socket): Promise<void> => {
      for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
        received += (chunk as Buffer).toString("latin1");
        if (received.endsWith(",,")) break;
      }
      for (const piece of pieces) {
        socket.write(piece);
        await new Promise(setImmediate);
      }
      socket.end();
    };
    await withServer(
      (socket) => void serve(socket),
      async (path) => {
        const outcome = await submitByQmqp(path, request);
        assert.equal(received, wire);
        if ("outcome" in expected) return assert.deepEqual(outcome, expected.outcome);
        assert.equal(outcome.kind, "temporary");
        assert.match(outcome.kind === "temporary" ? outcome.text : "", expected.text);
      },
    );
  });
}

test("submitByQmqp() fails temporarily, and says so, when nobody listens", async () => {
  const outcome = await submitByQmqp("/nonexistent/qmqp", request);
  assert.equal(outcome.kind, "temporary");
  assert.match(outcome.kind === "temporary" ? outcome.text : "", /postern is not running/);
});
