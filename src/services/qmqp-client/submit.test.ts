import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { encodeNetstring } from "../../protocol/netstring.ts";
import { submitByQmqp, submitToServers } from "./submit.ts";

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

/** What a server does with a connection, or "nobody" for none that listens. */
type Behaviour = "nobody" | "closes" | readonly string[];

const searches: readonly {
  readonly name: string;
  readonly servers: readonly Behaviour[];
  readonly asked: readonly number[];
  readonly kind: string;
}[] = [
  { name: "takes the first server", servers: [["Kok"], ["Kok"]], asked: [1, 0], kind: "done" },
  { name: "goes on after a failed connect", servers: ["nobody", ["Kok"]], asked: [0, 1], kind: "done" },
  { name: "does not go on after Z", servers: [["Zlater"], ["Kok"]], asked: [1, 0], kind: "temporary" },
  { name: "does not go on after D", servers: [["Dno"], ["Kok"]], asked: [1, 0], kind: "permanent" },
  { name: "does not go on after a lost connection", servers: ["closes", ["Kok"]], asked: [1, 0], kind: "temporary" },
  { name: "fails for now when none can be reached", servers: ["nobody", "nobody"], asked: [0, 0], kind: "temporary" },
];

for (const { name, servers, asked, kind } of searches) {
  test(`§17.181 submitToServers() ${name}`, async () => {
    await using started = new AsyncDisposableStack();
    const counts = servers.map(() => 0);
    const relays = await Promise.all(
      servers.map(async (behaviour, at) => {
        const server = createServer((socket) => {
          counts[at] = (counts[at] ?? 0) + 1;
          socket.on("error", () => {});
          let received = "";
          socket.on("data", (chunk: Buffer) => {
            received += chunk.toString("latin1");
            if (received !== wire) return;
            if (Array.isArray(behaviour)) socket.end(encodeNetstring(String(behaviour[0])));
            else socket.destroy();
          });
        }).listen(0, "127.0.0.1");
        await once(server, "listening");
        const { port } = server.address() as AddressInfo;
        if (behaviour === "nobody") server.close();
        else started.defer(() => void server.close());
        return { host: "127.0.0.1", port };
      }),
    );
    assert.equal((await submitToServers(relays, request)).kind, kind);
    assert.deepEqual(counts, asked);
  });
}
