import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { TLSSocket } from "node:tls";
import { without } from "../support/missing.ts";
import { play } from "../support/remote-play.ts";
import { makeSelfSigned } from "../support/self-signed.ts";

/**
 * What somebody on the way adds in clear to the reply to STARTTLS, before the handshake (CVE-2011-0411 from the other
 * side, NO STARTTLS): replies to all that we are going to say, or the beginning of one.
 */
const injections = [
  { name: "nothing", text: "", isTls: true },
  { name: "one reply", text: "250 injected\r\n", isTls: false },
  {
    name: "replies to a whole message",
    text: "250 a\r\n250 b\r\n250 c\r\n354 d\r\n250 2.0.0 injected\r\n",
    isTls: false,
  },
  { name: "extensions", text: "250-injected\r\n250-SIZE 1\r\n250 PIPELINING\r\n", isTls: false },
  { name: "a refusal", text: "550 injected\r\n", isTls: false },
  { name: "what is no reply", text: "injected\r\n", isTls: false },
  { name: "half a reply", text: "550 injected ", isTls: true },
  { name: "half a reply of many lines", text: "550-inj", isTls: true },
] as const;

interface Heard {
  /** Commands, with "TLS " before those that came inside. */
  readonly lines: string[];
  readonly bodies: string[];
}

/** A server that adds `injected` to its first reply to STARTTLS, in the same packet, and shakes hands then. */
function serve(
  socket: Socket,
  injected: string,
  tls: { key: string; cert: string },
  heard: Heard,
  secure = false,
): void {
  let input = "";
  let body: string | undefined;
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => {
    input += chunk.toString("latin1");
    for (let end = input.indexOf("\r\n"); end >= 0; end = input.indexOf("\r\n")) {
      const line = input.slice(0, end);
      input = input.slice(end + 2);
      if (body !== undefined && line !== ".") body += `${line}\n`;
      else if (body !== undefined) {
        heard.bodies.push(body);
        body = undefined;
        socket.write("250 2.0.0 really taken\r\n");
      } else {
        heard.lines.push(`${secure ? "TLS " : ""}${line}`);
        if (line === "STARTTLS") {
          socket.write(`220 go ahead\r\n${injected}`);
          socket.removeAllListeners("data");
          serve(new TLSSocket(socket, { isServer: true, ...tls }), "", tls, heard, true);
          return;
        }
        if (line === "DATA") body = "";
        if (line.startsWith("EHLO")) socket.write(secure ? "250 peer\r\n" : "250-peer\r\n250 STARTTLS\r\n");
        else if (line !== "QUIT") socket.write(line === "DATA" ? "354 go\r\n" : "250 ok\r\n");
      }
    }
  });
}

for (const { name, text, isTls } of injections) {
  test(`remote believes nothing said in clear after STARTTLS was granted: ${name}`, {
    skip: without("openssl"),
  }, async () => {
    const tls = makeSelfSigned("mx1.example");
    const heard: Heard = { lines: [], bodies: [] };
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.write("220 peer\r\n");
      serve(socket, text, tls, heard);
    }).listen(0, "127.0.0.2");
    await once(server, "listening");
    {
      await using playing = await play({ peers: {}, config: { smtpPort: (server.address() as AddressInfo).port } });
      const { reports } = await playing.queue.deliver({ body: "Subject: x\n\nbody\n", forwardPaths: ["c@d.example"] });
      assert.match(reports[0] ?? "", /^K /);
      assert.ok(reports[0]?.endsWith("really taken\n"));
    }
    for (const socket of sockets) socket.destroy();
    server.close();
    assert.deepEqual(heard.bodies, ["Subject: x\n\nbody\n"], "taken once, by the peer itself");
    const inside = heard.lines.filter((line) => line.startsWith("TLS "));
    assert.equal(
      inside.some((line) => line.startsWith("TLS MAIL")),
      isTls,
    );
    const clear = heard.lines.slice(heard.lines.indexOf("STARTTLS") + 1, heard.lines.lastIndexOf("EHLO us.example"));
    assert.deepEqual(clear, [], "nothing was said in clear on that connection any more");
  });
}
