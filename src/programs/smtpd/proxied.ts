import type { Socket } from "node:net";
import { type Proxied, readProxyHeader } from "../../protocol/proxy/proxy.ts";

/** What a proxy said: who its client is, nobody for a check of its own, or nonsense. */
export type Introduction = { readonly client: Proxied | undefined } | "nonsense";

/**
 * Reads a proxy's header off `socket`, and leaves what follows to who reads next. `onRead` is called once, unless the
 * socket goes before. The caller sees to the time.
 */
export function readIntroduction(socket: Socket, onRead: (introduction: Introduction) => void): void {
  let input: Buffer = Buffer.alloc(0);
  const onError = (): void => {}; // "close" follows
  const onData = (chunk: Buffer) => {
    input = input.length === 0 ? chunk : Buffer.concat([input, chunk]);
    const header = readProxyHeader(input);
    if (header.kind === "more") return;
    socket.pause();
    socket.off("data", onData);
    socket.off("error", onError);
    if (header.kind === "broken") return onRead("nonsense");
    if (input.length > header.octets) socket.unshift(input.subarray(header.octets));
    onRead({ client: header.client });
    socket.resume();
  };
  socket.on("error", onError);
  socket.on("data", onData);
}
