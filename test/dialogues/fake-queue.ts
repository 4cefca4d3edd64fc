import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { done, type Outcome } from "../../src/protocol/outcome.ts";
import type { Frame } from "../../src/protocol/wire/frame.ts";
import {
  abandon,
  bodyType,
  commit,
  dsnRecipients,
  type Options,
  open,
  options,
  recipients,
  refused,
  stored,
  submissionCredit,
  submissionWindowOctets,
} from "../../src/protocol/wire/submission.ts";
import { type Channel, createChannel } from "../../src/services/channel/channel.ts";

export interface Submitted {
  readonly reversePath: string;
  readonly forwardPaths: readonly string[];
  readonly bodyKind: number;
  readonly uid: number;
  readonly body: string;
  /** What was asked for each forward-path, and for the message; absent when nothing was. */
  readonly notify?: readonly number[];
  readonly originalRecipients?: readonly string[];
  readonly options?: Options;
}

interface Incoming {
  readonly forwardPaths: string[];
  notify?: number[];
  originalRecipients?: string[];
  options?: Options;
  readonly body: Buffer[];
  /** Of the body, without credit yet. */
  owedOctets: number;
}

/** A queue that keeps messages in memory and does as the test says. */
export class FakeQueue {
  readonly messages: Submitted[] = [];
  abandoned = 0;
  /** The verdict on a message; undefined for none at all. */
  answer: (message: Submitted) => Outcome<number> | undefined = () => done(this.messages.length);
  /** Whether credit is given as the body comes. */
  givesCredit = true;
  #channel: Channel | undefined;
  #theirs: Socket | undefined;
  #incoming = new Map<number, Incoming>();
  #onChange: () => void = () => {};

  /** Connects anew, and gives the other end away. */
  async connect(give: (socket: Socket) => void): Promise<void> {
    const [ours, theirs] = await socketPair();
    this.#incoming = new Map();
    this.#theirs = theirs;
    this.#channel = createChannel(ours, {
      onFrame: (frame) => this.#take(frame),
      onClose: () => this.#onChange(),
    });
    give(theirs);
  }

  /** Resolves once the other end has noticed. */
  async hangUp(): Promise<void> {
    const noticed = this.#theirs && !this.#theirs.closed ? closed(this.#theirs) : undefined;
    this.#channel?.close();
    await noticed;
  }

  get receivedOctets(): number {
    let octets = 0;
    for (const { body } of this.#incoming.values()) for (const piece of body) octets += piece.length;
    return octets;
  }

  /** Resolves once the claim holds; looked at after each frame. */
  async until(claim: () => boolean): Promise<void> {
    while (!claim()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onChange = resolve;
      await promise;
    }
  }

  giveCredit(): void {
    this.givesCredit = true;
    for (const [stream, incoming] of this.#incoming) this.#credit(stream, incoming);
  }

  refuse(stream: number, permanent: 0 | 1, text: string): void {
    this.#incoming.delete(stream);
    this.#channel?.send(refused.encode(stream, { permanent, status: "3.1", text }));
  }

  get streams(): readonly number[] {
    return [...this.#incoming.keys()];
  }

  #credit(stream: number, incoming: Incoming): void {
    if (incoming.owedOctets === 0) return;
    this.#channel?.send(submissionCredit.encode(stream, { octets: incoming.owedOctets }));
    incoming.owedOctets = 0;
  }

  #take(frame: Frame): undefined | "broken" {
    const broken = this.#understand(frame);
    this.#onChange();
    return broken;
  }

  #understand({ type, stream, payload }: Frame): undefined | "broken" {
    if (type === open.type) {
      if (this.#incoming.has(stream)) return "broken";
      this.#incoming.set(stream, { forwardPaths: [], body: [], owedOctets: 0 });
      return undefined;
    }
    const incoming = this.#incoming.get(stream);
    if (!incoming) return undefined;
    if (type === bodyType) {
      incoming.body.push(Buffer.from(payload));
      incoming.owedOctets += payload.length;
      if (incoming.owedOctets > submissionWindowOctets) return "broken";
      if (this.givesCredit) this.#credit(stream, incoming);
      return undefined;
    }
    if (type === recipients.type) {
      incoming.forwardPaths.push(...(recipients.decode(payload)?.forwardPaths ?? []));
      return undefined;
    }
    if (type === dsnRecipients.type) {
      const fields = dsnRecipients.decode(payload);
      if (!fields) return "broken";
      incoming.forwardPaths.push(...fields.forwardPaths);
      incoming.notify = [...(incoming.notify ?? []), ...fields.notify];
      incoming.originalRecipients = [...(incoming.originalRecipients ?? []), ...fields.originalRecipients];
      return undefined;
    }
    if (type === options.type) {
      const fields = options.decode(payload);
      if (!fields || incoming.options) return "broken";
      incoming.options = fields;
      return undefined;
    }
    this.#incoming.delete(stream);
    if (type === abandon.type) {
      this.abandoned++;
      return undefined;
    }
    const envelope = type === commit.type ? commit.decode(payload) : undefined;
    if (!envelope) return "broken";
    const { body: pieces, owedOctets: _, ...rest } = incoming;
    this.#conclude(stream, { ...envelope, ...rest, body: Buffer.concat(pieces).toString("latin1") });
    return undefined;
  }

  #conclude(stream: number, message: Submitted): void {
    this.messages.push(message);
    const verdict = this.answer(message);
    if (!verdict) return;
    this.#channel?.send(
      verdict.kind === "done"
        ? stored.encode(stream, { queueId: verdict.value })
        : refused.encode(stream, {
            permanent: verdict.kind === "permanent" ? 1 : 0,
            status: verdict.status,
            text: verdict.text,
          }),
    );
  }
}

async function socketPair(): Promise<[Socket, Socket]> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const ours = connect(address.port, "127.0.0.1");
  const [[theirs]] = await Promise.all([once(server, "connection"), once(ours, "connect")]);
  server.close();
  return [ours, theirs];
}

/** Also after a reset, which is an error before it is a close. */
const closed = (socket: Socket): Promise<void> => new Promise((resolve) => socket.once("close", () => resolve()));
