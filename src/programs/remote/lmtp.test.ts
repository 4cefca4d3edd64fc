import assert from "node:assert/strict";
import { test } from "node:test";
import { accepted, play, said } from "../../../test/support/remote-play.ts";
import { die, startSmtpPeer } from "../../../test/support/smtp-peer.ts";

const forwardPaths = ["1@d.example", "2@d.example", "3@d.example"];

async function playStore(script: Parameters<typeof startSmtpPeer>[0]) {
  const stack = new AsyncDisposableStack();
  const store = stack.use(await startSmtpPeer({ lmtp: true, ...script }));
  const lmtpRoutes = new Map([["d.example", { host: "127.0.0.1", port: store.port }]]);
  // It comes before all other routes.
  const routes = new Map([["d.example", { host: "127.0.0.9", port: 9 }]]);
  const playing = stack.use(await play({ peers: {}, config: { lmtpRoutes, routes, qmtpRoutes: routes } }));
  return { store, queue: playing.queue, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test("remote gives each recipient the fate that an LMTP store tells after the message", async () => {
  const end = (path: string) =>
    path.startsWith("2") ? "552 5.2.2 full" : path.startsWith("3") ? "452 4.2.1 busy" : undefined;
  await using playing = await playStore({ script: { end } });
  for (let n = 0; n < 2; n++) {
    const { reports } = await playing.queue.deliver({ body: "x\n", forwardPaths });
    const sent = "127.0.0.1 failed after I sent the message.\n";
    assert.deepEqual(reports, [
      accepted("127.0.0.1"),
      `D2.2 ${sent}${said("552 5.2.2 full")}`,
      `Z2.1 ${sent}${said("452 4.2.1 busy")}`,
    ]);
  }
  assert.equal(playing.store.connections, 1);
  assert.equal(playing.store.lines[0], "LHLO us.example");
});

test("remote says that an LMTP store is where the mail stays", async () => {
  await using playing = await playStore({});
  const options = { envelopeId: "", ret: 0, flags: 0, priority: 9, notify: [1], originalRecipients: [""] };
  const { relayed } = await playing.queue.deliver({ body: "x\n", forwardPaths: ["1@d.example"], options });
  assert.deepEqual(relayed, ["127.0.0.1 0 final"]);
});

test("remote knows who has a message when an LMTP store dies in the middle of its replies", async () => {
  const end = (path: string) => (path.startsWith("2") ? die : undefined);
  await using playing = await playStore({ script: { end } });
  const { reports } = await playing.queue.deliver({ body: "x\n", forwardPaths });
  assert.deepEqual(
    reports.map((report) => report.slice(0, 1)),
    // A reset may overtake the reply before it.
    reports[0]?.startsWith("K") ? ["K", "Z", "Z"] : ["Z", "Z", "Z"],
  );
  assert.match(reports[1] ?? "", /Possible duplicate!/);
});
