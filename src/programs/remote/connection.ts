import { type ClientAction, SmtpClient, type Step, type Transaction } from "../../protocol/smtp/client.ts";
import { diedOn, type Fate } from "../../protocol/smtp/client-fate.ts";
import { createReplyReader } from "../../protocol/smtp/reply.ts";
import { createDotStuffer } from "../../protocol/smtp/stuff.ts";
import type { Body } from "./body.ts";
import type { Config } from "./config.ts";
import type { Network, Wire } from "./network.ts";
import type { Watch, Watched } from "./watch.ts";

/** Where to connect to. `name` is told to the peer in TLS, unless it is an address. */
export interface Target {
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

/** How the opening of a connection ended. `answered`: the peer said something. */
export type Opened =
  | { readonly kind: "ready" }
  | { readonly kind: "unusable"; readonly fate: Fate; readonly answered: boolean }
  | { readonly kind: "unreachable"; readonly why: string; readonly timedOut: boolean }
  /** It offered TLS and could not do it: to be tried once more, in clear. */
  | { readonly kind: "no TLS" };

/** How a transaction ended. `untouched`: the connection died before the peer took the MAIL. */
export interface Delivered {
  readonly fates: readonly Fate[];
  readonly untouched: boolean;
}

/** What connections share. */
export interface Shared {
  readonly config: Config;
  readonly watch: Watch;
  readonly network: Network;
}

/** RFC 5321 §4.5.3.2, TLS and the ends of connections by our own judgement. */
const waitsMs: Readonly<Record<Step, number>> = {
  greeting: 300_000,
  hello: 300_000,
  TLS: 60_000,
  command: 300_000,
  DATA: 120_000,
  body: 180_000,
  "end of data": 600_000,
  nothing: 0,
};
const quitMs = 5_000;

/**
 * One SMTP connection: a socket, and the pure client that says what to do with it. It is opened once, then carries
 * one transaction after the other. Every wait ends: by a reply, by the end of the connection, or by its deadline.
 */
export class Connection implements Watched {
  readonly target: Target;
  /** Messages it has carried. */
  transactions = 0;
  /** Called once, when it is closed. */
  onClosed: () => void = () => {};
  deadlineMs: number;
  readonly #config: Config;
  readonly #watch: Watch;
  readonly #network: Network;
  readonly #client: SmtpClient;
  readonly #opening = Promise.withResolvers<Opened>();
  #socket: Wire;
  #read = createReplyReader();
  #phase: "connecting" | "talking" | "shaking hands" | "closed" = "connecting";
  #answered = false;
  #delivering: PromiseWithResolvers<Delivered> | undefined;
  /** Of a connection that ended outside of a transaction. */
  #farewell: Fate;
  #body: Body | undefined;
  #stuff = createDotStuffer();

  constructor(target: Target, startTls: boolean, { config, watch, network }: Shared) {
    this.target = target;
    this.#config = config;
    this.#watch = watch;
    this.#network = network;
    this.#client = new SmtpClient(target.address, config.heloHost, startTls);
    this.#farewell = diedOn(target.address, reason(undefined), false);
    this.deadlineMs = watch.now() + config.connectTimeoutMs;
    watch.add(this);
    this.#socket = network.connect(target.address, target.port);
    this.#socket.once("connect", () => {
      this.#phase = "talking";
      this.#wait();
    });
    this.#listen(this.#socket);
  }

  /** Resolves when the peer is ready for mail, or will not be. */
  get opened(): Promise<Opened> {
    return this.#opening.promise;
  }

  get isOpen(): boolean {
    return this.#phase === "talking";
  }

  /** The peer makes a reverse-path for each recipient itself. */
  get offersXverp(): boolean {
    return this.#client.offersXverp;
  }

  /** Carries one message. Only when opened, and the one before has ended. */
  deliver(transaction: Transaction, body: Body): Promise<Delivered> {
    // Between its being ready and now it may have said too much, or gone.
    if (!this.isOpen) return Promise.resolve({ fates: [this.#farewell], untouched: true });
    this.transactions++;
    this.#delivering = Promise.withResolvers<Delivered>();
    const { promise } = this.#delivering;
    this.#stuff = createDotStuffer();
    this.#body = body;
    this.#act(this.#client.begin(transaction));
    return promise;
  }

  /** Nothing to do for now: closed politely at the deadline, if not used again. */
  rest(): void {
    this.deadlineMs = this.#watch.now() + this.#config.idleMs;
  }

  /** Ends it in the middle of whatever it does. */
  abort(why: string): void {
    if (this.#phase === "connecting") this.#unreachable(why, false);
    else this.#act(this.#client.lost(why));
  }

  /** Says QUIT, waits for no answer. */
  close(): void {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    this.deadlineMs = this.#watch.now() + quitMs;
    this.#socket.write("QUIT\r\n", "latin1");
    this.#socket.destroySoon();
    this.onClosed();
  }

  expire(): void {
    switch (this.#phase) {
      case "connecting":
        this.#unreachable("connection timed out", true);
        break;
      case "closed":
        this.#socket.destroy();
        break;
      case "talking":
      case "shaking hands":
        if (this.#client.step === "nothing") this.close();
        else this.#act(this.#client.lost(`no progress for too long, waiting for ${this.#client.step}`));
        break;
      default:
        this.#phase satisfies never;
    }
  }

  #listen(socket: Wire): void {
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("drain", () => this.#pump());
    socket.on("error", (error) => this.#onGone(error));
    socket.on("end", () => this.#onGone());
    socket.on("close", () => {
      if (this.#socket !== socket) return;
      this.#onGone();
      this.#watch.delete(this);
    });
  }

  #onData(chunk: Buffer): void {
    for (const reply of this.#read(chunk)) {
      if (this.#phase === "closed") return;
      this.#answered = true;
      const isSound = reply !== "broken" && this.#phase === "talking"; // nothing in clear may follow the reply to STARTTLS
      this.#act(isSound ? this.#client.onReply(reply) : this.#client.lost("the peer does not speak SMTP"));
    }
  }

  #onGone(error?: Error): void {
    if (this.#phase === "closed") return;
    if (this.#phase === "connecting")
      this.#unreachable(reason(error), error !== undefined && codeOf(error) === "ETIMEDOUT");
    else this.#act(this.#client.lost(reason(error)));
  }

  #act(action: ClientAction): void {
    switch (action.kind) {
      case "wait":
        this.#wait();
        break;
      case "send":
        this.#socket.write(action.text, "latin1");
        this.#wait();
        break;
      case "start TLS":
        this.#startTls();
        break;
      case "ready":
        this.#opening.resolve({ kind: "ready" });
        break;
      case "body":
        if (this.#body) this.#body.onMore = () => this.#pump();
        this.#wait();
        this.#pump();
        break;
      case "finished":
        this.#finish(action);
        break;
      case "no TLS":
        this.#opening.resolve(action);
        this.#drop();
        break;
      case "unusable":
        this.#farewell = action.fate;
        this.#opening.resolve({ kind: "unusable", fate: action.fate, answered: this.#answered });
        this.#drop();
        break;
      default:
        action satisfies never;
    }
  }

  #wait(): void {
    this.deadlineMs = this.#watch.now() + Math.min(waitsMs[this.#client.step], this.#config.silenceTimeoutMs);
  }

  /** Sends body while the peer takes it, which is when the socket has room. */
  #pump(): void {
    while (this.#client.step === "body" && this.#body && !this.#socket.writableNeedDrain) {
      const piece = this.#body.take();
      if (!piece) return;
      if (piece.last) this.#client.onDotSent();
      this.#socket.write(this.#stuff(piece.octets, piece.last));
      this.#wait();
    }
  }

  #finish({ fates, reusable, untouched }: ClientAction & { kind: "finished" }): void {
    if (this.#body) this.#body.onMore = () => {};
    this.#body = undefined;
    if (!reusable) this.#drop();
    this.#delivering?.resolve({ fates, untouched });
    this.#delivering = undefined;
  }

  #unreachable(why: string, timedOut: boolean): void {
    this.#opening.resolve({ kind: "unreachable", why, timedOut });
    this.#drop();
  }

  /** Without QUIT: there is nobody to talk to, or a message of which no end must be seen. */
  #drop(): void {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    this.#socket.destroy();
    this.onClosed();
  }

  /** Certificates are not verified: it was this or no TLS. */
  #startTls(): void {
    this.#phase = "shaking hands";
    this.#wait();
    const plain = this.#socket;
    plain.pause();
    plain.removeAllListeners("data");
    this.#network.secure(plain, this.target.name).then(
      (secured) => {
        if (this.#phase !== "shaking hands") return;
        this.#socket = secured;
        this.#read = createReplyReader();
        secured.once("secureConnect", () => {
          this.#phase = "talking";
          this.#act(this.#client.onTls());
        });
        this.#listen(secured);
      },
      (error) => this.#onGone(error),
    );
  }
}

export const codeOf = (error: Error): string => ("code" in error ? String(error.code) : error.message);

const reasons: ReadonlyMap<string, string> = new Map([
  ["ECONNREFUSED", "connection refused"],
  ["ECONNRESET", "connection reset by the peer"],
  ["ETIMEDOUT", "connection timed out"],
  ["EHOSTUNREACH", "no route to host"],
  ["ENETUNREACH", "network unreachable"],
  ["EPIPE", "connection closed by the peer"],
]);

/** Why a connection ended, in words. */
export function reason(error: Error | undefined): string {
  if (!error) return "connection closed by the peer";
  const code = codeOf(error);
  return reasons.get(code) ?? `connection failed: ${code}`;
}
