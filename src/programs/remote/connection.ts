import { splitAddress } from "../../protocol/address.ts";
import { type ClientAction, SmtpClient, type Step } from "../../protocol/smtp/client.ts";
import { diedOn, type Fate } from "../../protocol/smtp/client-fate.ts";
import type { Login } from "../../protocol/smtp/login.ts";
import { createReplyReader } from "../../protocol/smtp/reply.ts";
import { createDotStuffer } from "../../protocol/smtp/stuff.ts";
import type { Transaction } from "../../protocol/smtp/transaction.ts";
import { demandKey, type TlsDemand, type TlsFault } from "../../protocol/tls-policy/demand.ts";
import { free } from "../../services/memory/free.ts";
import type { Body } from "./body.ts";
import type { Config } from "./config.ts";
import type { Network, SecureWire, Wire } from "./network.ts";
import type { Watch, Watched } from "./watch.ts";

/** Where to connect to, and how. `name` is told to the peer in TLS, unless it is an address. */
export interface Target {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: "SMTP" | "LMTP";
  readonly demand: TlsDemand;
  readonly login?: Login;
}

/** Targets with the same key can share a connection. */
export const targetKey = ({ address, port, protocol, demand, login }: Target): string =>
  `${address} ${port} ${protocol} ${login?.user ?? ""} ${demandKey(demand)}`;

/** How the opening of a connection ended. `answered`: the peer said something. */
export type Opened =
  | { readonly kind: "ready" }
  | { readonly kind: "unusable"; readonly fate: Fate; readonly answered: boolean }
  | { readonly kind: "unreachable"; readonly why: string; readonly timedOut: boolean }
  /** TLS came to nothing, or was not what is demanded: where that is only a wish, to be tried once more in clear. */
  | { readonly kind: "no TLS"; readonly fault: TlsFault };

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
/** It is our turn: what the peer has said already beyond that cannot answer what we have yet to say, in clear or by TLS. */
const speaks: ReadonlySet<ClientAction["kind"]> = new Set(["send", "body", "start TLS"]);
/** So many messages a connection carries at most. */
const mostTransactions = 100;

/**
 * One SMTP connection: a socket, and the pure client that says what to do with it. It is opened once, then carries
 * one transaction after the other. Every wait ends: by a reply, by the end of the connection, or by its deadline.
 */
export class Connection implements Watched {
  readonly target: Target;
  /** Of the target. */
  readonly key: string;
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
  #encode: (octets: Buffer, last: boolean) => Buffer = asItIs;
  /** What the peer's certificate lacked, where that was only a wish. */
  #leniency: TlsFault | undefined;
  readonly #domains = new Set<string>();

  constructor(target: Target, startTls: boolean, { config, watch, network }: Shared) {
    this.target = target;
    this.key = targetKey(target);
    this.#config = config;
    this.#watch = watch;
    this.#network = network;
    const { demand, protocol, login } = target;
    const isWish = demand.level === "may" || demand.isTest;
    this.#client = new SmtpClient({
      peer: target.address,
      heloHost: config.heloHost,
      tls: !startTls || demand.level === "none" ? "none" : isWish ? "may" : "must",
      protocol,
      ...(login && { login }),
    });
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

  /** The peer sees to what its clients ask for (RFC 3461). */
  get offersDsn(): boolean {
    return this.#client.offersDsn;
  }

  /** How many recipients of one message the peer takes. */
  get maxRecipients(): number {
    return this.#client.limits.maxRecipients;
  }

  /** It has carried all it may. */
  get isSpent(): boolean {
    return this.transactions >= Math.min(mostTransactions, this.#client.limits.maxMessages);
  }

  /** Whether the peer takes mail for this domain too, after those it got mail for (RFC 9422 §4.3). */
  takes(domain: string): boolean {
    return this.#domains.has(domain) || this.#domains.size < this.#client.limits.maxDomains;
  }

  /** There is TLS on it. */
  get isSecured(): boolean {
    return "fault" in this.#socket;
  }

  /** What its TLS lacked, of what was only wished for. */
  get leniency(): TlsFault | undefined {
    return this.#leniency;
  }

  /** Carries one message. Only when opened, and the one before has ended. */
  deliver(transaction: Transaction, body: Body): Promise<Delivered> {
    // Between its being ready and now it may have said too much, or gone.
    if (!this.isOpen) return Promise.resolve({ fates: [this.#farewell], untouched: true });
    this.transactions++;
    if (this.#client.limits.maxDomains < Number.POSITIVE_INFINITY) {
      for (const path of transaction.forwardPaths) this.#domains.add(splitAddress(path).domain);
    }
    this.#delivering = Promise.withResolvers<Delivered>();
    const { promise } = this.#delivering;
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
    const replies = this.#read(chunk);
    for (const [at, reply] of replies.entries()) {
      if (this.#phase === "closed") return;
      this.#answered = true;
      const action = this.#client.onReply(reply);
      const next = replies[at + 1];
      this.#act(next && speaks.has(action.kind) ? this.#client.onUnasked(next) : action);
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
        this.#encode = action.encoding === "lines" ? createDotStuffer() : asItIs;
        if (action.opening !== "") this.#socket.write(action.opening, "latin1");
        if (this.#body) this.#body.onMore = () => this.#pump();
        this.#wait();
        this.#pump();
        break;
      case "finished":
        this.#finish(action);
        break;
      case "no TLS":
        this.#noTls({ kind: action.isOffered ? "validation-failure" : "starttls-not-supported", text: action.why });
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
      const octets = this.#encode(piece.octets, piece.last);
      if (octets !== piece.octets) free(piece.octets);
      this.#socket.write(octets);
      if (this.#socket.writableLength === 0) free(octets); // all of it is the kernel's
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

  #noTls(fault: TlsFault): void {
    this.#opening.resolve({ kind: "no TLS", fault });
    this.#drop();
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

  #startTls(): void {
    this.#phase = "shaking hands";
    this.#wait();
    const plain = this.#socket;
    plain.pause();
    plain.removeAllListeners("data");
    const { name, demand } = this.target;
    this.#network.secure(plain, name, demand, this.#config.authorities).then(
      (secured) => {
        if (this.#phase !== "shaking hands") return;
        this.#socket = secured;
        this.#read = createReplyReader();
        secured.once("secureConnect", () => this.#onSecured(secured));
        this.#listen(secured);
      },
      (error) => this.#onGone(error),
    );
  }

  #onSecured(secured: SecureWire): void {
    if (this.#phase !== "shaking hands") return;
    const { demand } = this.target;
    const fault = secured.fault(demand);
    if (fault && !demand.isTest) {
      this.#noTls(fault);
      return;
    }
    this.#leniency = fault;
    this.#phase = "talking";
    this.#act(this.#client.onTls());
  }
}

const asItIs = (octets: Buffer): Buffer => octets;

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
