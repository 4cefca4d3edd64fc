import type { Duplex } from "node:stream";
import type { Answer } from "./operator.ts";

/** A request line is no longer. */
const maxLineOctets = 65_536;
const newline = 10;

/**
 * Serves one operator connection: greets, then answers one line after the other. While an answer is under way nothing
 * is read, and while the reader does not keep up nothing is written.
 */
export async function serveOperator(
  socket: Duplex,
  uid: number,
  operate: (line: string, uid: number, answer: Answer) => Promise<void>,
): Promise<void> {
  const closed = Promise.withResolvers<void>();
  socket.on("close", () => closed.resolve());
  const answer: Answer = async (rows) => {
    if (rows.length === 0 || socket.destroyed) return;
    const text = rows.map((row) => `${JSON.stringify(row)}\n`).join("");
    if (socket.write(text)) return;
    const drained = Promise.withResolvers<void>();
    socket.once("drain", drained.resolve);
    await Promise.race([drained.promise, closed.promise]);
    socket.off("drain", drained.resolve);
  };
  try {
    await answer([{ ok: "queue" }]);
    let kept: Buffer = Buffer.alloc(0);
    for await (const chunk of chunksOf(socket)) {
      kept = Buffer.concat([kept, chunk]);
      for (let end = kept.indexOf(newline); end >= 0; end = kept.indexOf(newline)) {
        const line = kept.toString("utf8", 0, end);
        kept = kept.subarray(end + 1);
        await operate(line, uid, answer);
      }
      if (kept.length > maxLineOctets) {
        await answer([{ error: `a request line of more than ${maxLineOctets} octets` }]);
        break;
      }
    }
  } catch (error) {
    if (!isTorn(error)) throw error;
  } finally {
    socket.end();
  }
}

/** The operator's terminal is gone: nothing to report to anybody. */
const isTorn = (error: unknown): boolean =>
  error instanceof Error &&
  "code" in error &&
  ["ECONNRESET", "EPIPE", "ERR_STREAM_PREMATURE_CLOSE"].includes(String(error.code));

/** What is left to be written must still get out after the last line. */
const chunksOf = (socket: Duplex): AsyncIterable<Buffer> =>
  socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
