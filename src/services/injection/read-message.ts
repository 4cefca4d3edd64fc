import { done, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";

/** Larger messages are refused: this much is kept in memory, twice if its line ends change. */
export const maxInjectedOctets = 104_857_600;

/** A whole message from a stream, in the one form we store: lines end in LF, no other carriage return, no NUL. */
export async function readMessage(stream: AsyncIterable<Buffer>): Promise<Outcome<Buffer>> {
  const chunks: Buffer[] = [];
  let octets = 0;
  try {
    for await (const chunk of stream) {
      octets += chunk.length;
      if (octets > maxInjectedOctets) return permanent("3.4", `message larger than ${maxInjectedOctets} octets`);
      chunks.push(chunk);
    }
  } catch (error) {
    return temporary("3.0", `cannot read the message: ${(error as NodeJS.ErrnoException).code}`);
  }
  return toLineFeeds(Buffer.concat(chunks));
}

/** Makes CRLF line ends LF. A carriage return anywhere else and a NUL are refused: peers would not agree what they mean. */
export function toLineFeeds(message: Buffer): Outcome<Buffer> {
  const nul = message.indexOf(0);
  if (nul >= 0) return permanent("6.0", `the message holds a NUL at octet ${nul}`);
  if (!message.includes(0x0d)) return done(message);
  const converted = Buffer.allocUnsafe(message.length);
  let length = 0;
  let from = 0;
  for (let at = message.indexOf(0x0d); at >= 0; at = message.indexOf(0x0d, from + 1)) {
    if (message[at + 1] !== 0x0a) return permanent("6.11", `the message holds a bare carriage return at octet ${at}`);
    length += message.copy(converted, length, from, at);
    from = at + 1;
  }
  length += message.copy(converted, length, from);
  return done(converted.subarray(0, length));
}
