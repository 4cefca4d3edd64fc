import { connect, type Socket } from "node:net";
import { QmtpExchange } from "../../protocol/qmtp/exchange.ts";
import { framePackage } from "../../protocol/qmtp/package.ts";
import type { Fate } from "../../protocol/smtp/client-fate.ts";
import type { Transaction } from "../../protocol/smtp/transaction.ts";
import type { Body } from "./body.ts";
import type { Config } from "./config.ts";
import { codeOf, reason, type Target } from "./connection.ts";
import type { Watch, Watched } from "./watch.ts";

/** How it ended. Nothing of the body was taken when the host could not be reached. */
export type QmtpResult =
  | { readonly kind: "answered"; readonly fates: readonly Fate[] }
  | { readonly kind: "unreachable"; readonly why: string; readonly timedOut: boolean };

/** As for SMTP: for room to send more, and for the answers. */
const sendingMs = 180_000;
const answerMs = 600_000;
/** QMTP's own limit for a connection. */
const sessionMs = 3_600_000;

/**
 * One message over QMTP, on a connection of its own: before the package is whole nothing is answered, so a kept
 * connection that had died meanwhile would leave a doubt about every message. Every wait ends: by the answers, by the
 * end of the connection, or by its deadline.
 */
export class QmtpDelivery implements Watched {
  deadlineMs: number;
  readonly #watch: Watch;
  readonly #config: Config;
  readonly #body: Body;
  readonly #socket: Socket;
  readonly #exchange: QmtpExchange;
  readonly #package: { readonly before: Buffer; readonly after: Buffer };
  readonly #result = Promise.withResolvers<QmtpResult>();
  #phase: "connecting" | "sending" | "waiting for the answers" | "over" = "connecting";
  #lastMs = Number.POSITIVE_INFINITY;

  constructor(
    target: Pick<Target, "address" | "port">,
    transaction: Transaction,
    body: Body,
    { config, watch }: { config: Config; watch: Watch },
  ) {
    const { octets, reversePath, forwardPaths } = transaction;
    this.#watch = watch;
    this.#config = config;
    this.#body = body;
    this.#exchange = new QmtpExchange(target.address, forwardPaths.length);
    this.#package = framePackage(octets, reversePath, forwardPaths);
    this.deadlineMs = watch.now() + config.connectTimeoutMs;
    watch.add(this);
    this.#socket = connect({ host: target.address, port: target.port, noDelay: true });
    this.#socket.once("connect", () => this.#begin());
    this.#socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    this.#socket.on("drain", () => this.#pump());
    this.#socket.on("error", (error) => this.#onGone(error));
    this.#socket.on("end", () => this.#onGone());
    this.#socket.on("close", () => this.#onGone());
  }

  get result(): Promise<QmtpResult> {
    return this.#result.promise;
  }

  /** Ends it in the middle of whatever it does. */
  abort(why: string): void {
    if (this.#phase === "connecting") this.#end({ kind: "unreachable", why, timedOut: false });
    else this.#end({ kind: "answered", fates: this.#exchange.lost(why) });
  }

  expire(): void {
    if (this.#phase === "connecting") this.#end({ kind: "unreachable", why: "connection timed out", timedOut: true });
    else this.abort(`no progress for too long, ${this.#phase}`);
  }

  #begin(): void {
    this.#phase = "sending";
    this.#lastMs = this.#watch.now() + sessionMs;
    this.#socket.write(this.#package.before);
    this.#body.onMore = () => this.#pump();
    this.#wait(sendingMs);
    this.#pump();
  }

  /** Sends body while the peer takes it, which is when the socket has room. */
  #pump(): void {
    while (this.#phase === "sending" && !this.#socket.writableNeedDrain) {
      const piece = this.#body.take();
      if (!piece) return;
      if (piece.octets.length > 0) this.#socket.write(piece.octets);
      this.#wait(sendingMs);
      if (!piece.last) continue;
      this.#exchange.onSent();
      this.#socket.write(this.#package.after);
      this.#phase = "waiting for the answers";
      this.#wait(answerMs);
    }
  }

  #onData(chunk: Buffer): void {
    if (this.#phase === "over") return;
    const fates = this.#exchange.onAnswer(chunk);
    if (fates === "broken") this.abort("the peer does not speak QMTP");
    else if (fates === "more") this.#wait(answerMs);
    else this.#end({ kind: "answered", fates });
  }

  #onGone(error?: Error): void {
    if (this.#phase === "connecting") {
      const timedOut = error !== undefined && codeOf(error) === "ETIMEDOUT";
      this.#end({ kind: "unreachable", why: reason(error), timedOut });
    } else this.abort(reason(error));
  }

  #wait(ms: number): void {
    this.deadlineMs = Math.min(this.#watch.now() + Math.min(ms, this.#config.silenceTimeoutMs), this.#lastMs);
  }

  #end(result: QmtpResult): void {
    if (this.#phase === "over") return;
    this.#phase = "over";
    this.#body.onMore = () => {};
    this.#watch.delete(this);
    this.#socket.destroy();
    this.#result.resolve(result);
  }
}
