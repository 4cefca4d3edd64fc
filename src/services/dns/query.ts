import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import { type DnsAnswer, type DnsType, encodeQuery, parseAnswer, typeNumbers } from "../../protocol/dns/message.ts";

/** Where a resolver listens. */
export interface Server {
  readonly address: string;
  readonly port: number;
}

const maxMessageOctets = 65_535;

/**
 * Asks one resolver one question, by UDP, and by TCP when the answer does not fit (RFC 7766). `undefined` when no answer
 * to just this question came before `signal` fired, or the name has no form in DNS. Never throws.
 */
export async function query(
  server: Server,
  name: string,
  type: DnsType,
  signal: AbortSignal,
): Promise<DnsAnswer | undefined> {
  const id = randomInt(65_536);
  const question = encodeQuery(id, name, type);
  if (!question) return undefined;
  const fits = (octets: Buffer): DnsAnswer | undefined => {
    const answer = parseAnswer(octets);
    const isOurs = answer?.id === id && answer.type === typeNumbers[type] && answer.name === name.toLowerCase();
    return isOurs ? answer : undefined;
  };
  try {
    const answer = await byUdp(server, question, fits, signal);
    return answer?.isTruncated ? fits(await byTcp(server, question, signal)) : answer;
  } catch {
    return undefined; // refused, reset, or out of time
  }
}

/** What is not the answer may be somebody's guess at it: it is passed over, and ours awaited. */
async function byUdp(
  { address, port }: Server,
  question: Buffer,
  fits: (octets: Buffer) => DnsAnswer | undefined,
  signal: AbortSignal,
): Promise<DnsAnswer | undefined> {
  const socket = createSocket({ type: address.includes(":") ? "udp6" : "udp4" });
  const answered = Promise.withResolvers<DnsAnswer>();
  const stop = () => answered.reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  socket.on("error", answered.reject);
  socket.on("message", (octets: Buffer) => {
    const answer = fits(octets);
    if (answer) answered.resolve(answer);
  });
  try {
    // Connected, so that nobody else's datagrams arrive, and a closed port is known at once.
    socket.connect(port, address, () => socket.send(question));
    return await answered.promise;
  } finally {
    signal.removeEventListener("abort", stop);
    socket.close();
  }
}

async function byTcp({ address, port }: Server, question: Buffer, signal: AbortSignal): Promise<Buffer> {
  const socket = connect({ host: address, port, signal });
  try {
    await once(socket, "connect", { signal });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(question.length);
    socket.write(Buffer.concat([length, question]));
    let input: Buffer = Buffer.alloc(0);
    for await (const chunk of socket) {
      input = Buffer.concat([input, chunk as Buffer]);
      const whole = input.length < 2 ? maxMessageOctets : input.readUInt16BE(0);
      if (input.length >= 2 + whole) return input.subarray(2, 2 + whole);
    }
    return Buffer.alloc(0);
  } finally {
    socket.destroy();
  }
}
