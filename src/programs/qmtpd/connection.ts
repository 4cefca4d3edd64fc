import { once } from "node:events";
import type { Socket } from "node:net";
import type { Event } from "../../protocol/event/event.ts";
import { done, type Outcome } from "../../protocol/outcome.ts";
import { encodeQmqpReply } from "../../protocol/qmqp/reply.ts";
import { createPackageReader, type QmtpPart } from "../../protocol/qmtp/package.ts";
import { type Received, Reception, type Sender, type Surroundings } from "./reception.ts";

export interface Client extends Sender {
  /** Longest silence. */
  readonly idleMs: number;
}

export interface ConnectionSurroundings extends Surroundings {
  readonly log: (event: Event) => void;
  /** Told of all octets read. */
  readonly reclaim: (octets: number) => void;
  readonly isStopping: () => boolean;
}

/** Answers go out in pieces of about so much: a client that does not read them costs two. */
const pieceOctets = 32_768;
/** For the client to read our last answers and close. */
const lingerMs = 5_000;
/** Of the recipients a package is refused for, so many are logged. */
const maxLogged = 20;

/** One QMTP client. Holds one chunk of input, the addresses of one package, and a piece of answers; no more. */
export class Connection {
  readonly #socket: Socket;
  readonly #number: number;
  readonly #sender: Client;
  readonly #around: ConnectionSurroundings;
  readonly #gone = new AbortController();
  #reception: Reception | undefined;
  #messages = 0;
  #why = "client closed";

  constructor(socket: Socket, number: number, sender: Client, around: ConnectionSurroundings) {
    this.#socket = socket;
    this.#number = number;
    this.#sender = sender;
    this.#around = around;
    socket.setTimeout(sender.idleMs, () => this.end("timeout"));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#why = error.code ?? error.message;
    });
    socket.once("close", () => {
      this.#gone.abort();
      this.#reception?.abandon();
      around.log({ event: "disconnection", connection: number, why: this.#why, messages: this.#messages });
    });
  }

  /** Serves until the client has ended its side, or sends what is no package: all it is told then is the end. */
  async serve(): Promise<void> {
    const read = createPackageReader();
    try {
      for await (const chunk of this.#socket.iterator({ destroyOnReturn: false })) {
        const octets = chunk as Buffer;
        this.#around.reclaim(octets.length);
        for (const part of read(octets)) await this.#take(part);
        if (this.isIdle && this.#around.isStopping()) this.end("stopped");
        if (this.#socket.destroyed) return;
      }
      this.#socket.end();
    } catch (error) {
      if (!this.#socket.destroyed) throw error; // no torn connection, then: a bug
    }
  }

  /** Between packages. */
  get isIdle(): boolean {
    return this.#reception === undefined;
  }

  /** Drops the connection, and a package that is not complete. */
  end(why: string): void {
    if (this.#socket.destroyed) return;
    this.#why = why;
    this.#socket.destroy();
  }

  /** Sends no more, and for a while reads and drops what is on its way: a reset would lose answers given before. */
  #takeLeave(why: string): void {
    this.#why = why;
    this.#reception?.abandon();
    this.#socket.end();
    const linger = setTimeout(() => this.end(why), lingerMs);
    this.#socket.once("close", () => clearTimeout(linger));
  }

  async #take(part: QmtpPart): Promise<void> {
    if (this.#socket.destroyed) return;
    if (part.kind === "broken") {
      this.#refusal(`not QMTP: ${part.why}`);
      return this.#takeLeave(part.why);
    }
    this.#reception ??= await Reception.begin(this.#sender, this.#around);
    if (this.#socket.destroyed) return this.#reception.abandon();
    if (part.kind !== "end") return await this.#reception.take(part);
    this.#socket.setTimeout(0); // it is `queue` that is waited for
    const received = await this.#reception.finish();
    this.#reception = undefined;
    this.#log(received);
    this.#socket.setTimeout(this.#sender.idleMs);
    await this.#answer(received.verdicts);
  }

  async #answer(verdicts: readonly Outcome<number>[]): Promise<void> {
    let piece: Buffer[] = [];
    let octets = 0;
    const send = async (): Promise<void> => {
      if (octets === 0 || this.#socket.destroyed) return;
      const room = this.#socket.write(Buffer.concat(piece));
      piece = [];
      octets = 0;
      if (!room) await once(this.#socket, "drain", { signal: this.#gone.signal });
    };
    const nowSeconds = Math.floor(this.#around.now() / 1_000);
    const inWords = new Map<Outcome<number>, Buffer>(); // most recipients have the same
    for (const verdict of verdicts) {
      const words = inWords.get(verdict) ?? wordsOf(verdict, nowSeconds);
      inWords.set(verdict, words);
      piece.push(words);
      octets += words.length;
      if (octets >= pieceOctets) await send();
    }
    await send();
  }

  #log({ message, recipients, verdicts }: Received): void {
    if (message !== undefined) {
      this.#messages++;
      this.#around.log({ event: "accepted", connection: this.#number, message, recipients });
    }
    const failures = verdicts.filter((verdict) => verdict.kind !== "done");
    const told = message === undefined && new Set(failures).size === 1 ? failures.slice(0, 1) : failures;
    for (const failure of told.slice(0, maxLogged)) this.#refusal(wordsOf(failure, 0).toString("latin1"));
  }

  #refusal(reply: string): void {
    const { address } = this.#sender;
    this.#around.log({ event: "refusal", connection: this.#number, address, command: "QMTP", reply });
  }
}

const wordsOf = (verdict: Outcome<number>, nowSeconds: number): Buffer =>
  encodeQmqpReply(verdict.kind === "done" ? done(`ok ${nowSeconds} qp ${verdict.value}`) : verdict);
