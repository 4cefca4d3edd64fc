import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import {
  bodyEnd,
  deliver,
  deliverOptions,
  deliveryBodyType,
  deliveryCredit,
  deliveryWindowOctets,
  ended,
  relayed,
  report,
} from "../../src/protocol/wire/delivery.ts";
import { encodeFrame } from "../../src/protocol/wire/frame.ts";
import { type Channel, createChannel } from "../../src/services/channel/channel.ts";

export interface Delivering {
  readonly body: string | Buffer;
  readonly forwardPaths: readonly string[];
  readonly reversePath?: string;
  readonly bodyKind?: number;
  readonly options?: Parameters<typeof deliverOptions.encode>[1];
}

/** How a delivery was answered: a line "LETTERstatus text" for each number, in that order. */
export interface Answered {
  readonly reports: readonly string[];
  readonly reached: number;
  /** Of `relayed` frames, "PEER takesDsn", " final" at a store, if there were any. */
  readonly relayed?: readonly string[];
}

/** Plays `queue` on one end of a socket, whose other end is for the program under test. Keeps to the credit it is given. */
export interface DeliveryQueue extends AsyncDisposable {
  readonly programEnd: Socket;
  readonly channel: Channel;
  /** Resolves when the delivery is ended; rejects when the channel breaks. */
  deliver(delivering: Delivering): Promise<Answered>;
  /** Resolves with the reason when the channel breaks. */
  readonly broken: Promise<string>;
}

interface Stream {
  rest: Buffer;
  credit: number;
  readonly reports: Map<number, string>;
  readonly relayed: string[];
  readonly answered: PromiseWithResolvers<Answered>;
}

export async function startDeliveryQueue(): Promise<DeliveryQueue> {
  const [queueEnd, programEnd] = await socketPair();
  const streams = new Map<number, Stream>();
  const broken = Promise.withResolvers<string>();
  let lastStream = 0;
  const feed = (number: number, stream: Stream): void => {
    while (stream.rest.length > 0 && stream.credit > 0) {
      const octets = stream.rest.subarray(0, Math.min(stream.credit, 65_536));
      stream.rest = stream.rest.subarray(octets.length);
      stream.credit -= octets.length;
      channel.send(encodeFrame(deliveryBodyType, number, octets));
      if (stream.rest.length === 0) channel.send(bodyEnd.encode(number, {}));
    }
  };
  const channel = createChannel(queueEnd, {
    onFrame({ type, stream: number, payload }) {
      const stream = streams.get(number);
      if (!stream) return "broken";
      const credit = type === deliveryCredit.type && deliveryCredit.decode(payload);
      const reported = type === report.type && report.decode(payload);
      const relay = type === relayed.type && relayed.decode(payload);
      const last = type === ended.type && ended.decode(payload);
      if (credit) {
        stream.credit += credit.octets;
        feed(number, stream);
      } else if (reported && !stream.reports.has(reported.number)) {
        stream.reports.set(reported.number, `${reported.letter}${reported.status} ${reported.text}`);
      } else if (relay) {
        stream.relayed.push(`${relay.peer} ${relay.takesDsn}${relay.isFinal ? " final" : ""}`);
      } else if (last) {
        streams.delete(number);
        const reports = [...stream.reports].sort(([one], [other]) => one - other).map(([, text]) => text);
        const { relayed: taken } = stream;
        stream.answered.resolve({ reports, reached: last.reached, ...(taken.length > 0 && { relayed: taken }) });
      } else return "broken";
      return undefined;
    },
    onClose(why) {
      broken.resolve(why);
      for (const stream of streams.values()) stream.answered.reject(new Error(why));
    },
  });
  return {
    programEnd,
    channel,
    broken: broken.promise,
    deliver({ body, forwardPaths, reversePath = "a@sender.example", bodyKind = 0, options }) {
      const rest = Buffer.from(body as string, "latin1");
      const stream: Stream = {
        rest,
        credit: deliveryWindowOctets,
        reports: new Map(),
        relayed: [],
        answered: Promise.withResolvers(),
      };
      const number = ++lastStream;
      streams.set(number, stream);
      const numbers = forwardPaths.map((_, place) => place);
      const about = { queueId: number, name: `q${number}`, arrivedMs: 0, octets: rest.length, bodyKind, attempt: 1 };
      channel.send(deliver.encode(number, { ...about, reversePath, numbers, forwardPaths }));
      if (options) channel.send(deliverOptions.encode(number, options));
      if (rest.length === 0) channel.send(bodyEnd.encode(number, {}));
      feed(number, stream);
      return stream.answered.promise;
    },
    async [Symbol.asyncDispose]() {
      channel.close();
      programEnd.destroy();
    },
  };
}

/** Two connected sockets. */
export async function socketPair(): Promise<readonly [Socket, Socket]> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const near = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [far] = (await once(server, "connection")) as [Socket];
  server.close();
  return [near, far];
}
