import type { Socket } from "node:net";
import type { Line, Lines } from "../../protocol/lines.ts";
import { free } from "../memory/free.ts";
import type { Contexts } from "../tls/contexts.ts";
import { secureServer, type TlsSession } from "../tls/server.ts";
import { type LineSurroundings, type LineTerms, type Phase, type Speaker, waiting } from "./speaker.ts";

/** For a client to show that it speaks TLS. */
const handshakeSeconds = 30;
/** For the client to read our last reply and close. */
const lingerSeconds = 5;

const nothingYet = waiting(() => {});

/**
 * A connection with a client that speaks in lines, in clear or by TLS. One phase after the other reads what comes; what
 * is said in one turn leaves together. While the client does not read what was said, it is not read either.
 */
export class LineConnection<Taken extends Line = Line> {
  readonly lines: Lines<Taken>;
  readonly #around: LineSurroundings;
  readonly #terms: LineTerms;
  readonly #speaker: Speaker;
  #socket: Socket;
  #phase = nothingYet;
  #tls: TlsSession | undefined;
  #at: "open" | "handshake" | "closing" = "open";
  #deadline = 0;
  #why = "client closed";
  #replies = "";
  #isUnread = false;
  #isPaused = false;
  #hasEnded = false;
  #isRunning = false;

  constructor(socket: Socket, lines: Lines<Taken>, around: LineSurroundings, terms: LineTerms, speaker: Speaker) {
    this.#socket = socket;
    this.lines = lines;
    this.#around = around;
    this.#terms = terms;
    this.#speaker = speaker;
  }

  /** Takes the socket over. */
  begin() {
    const { tls } = this.#around;
    this.#socket.on("error", this.#onError);
    if (tls && this.#terms.startsWithTls) return this.startTls(tls);
    this.#socket.on("close", this.#onGone);
    this.#listen();
    this.#speaker.onOpen();
  }

  get tls(): TlsSession | undefined {
    return this.#tls;
  }

  /** The client can be spoken with: it is neither closing nor in the middle of a handshake. */
  get isOpen(): boolean {
    return this.#at === "open";
  }

  get isClosing(): boolean {
    return this.#at === "closing";
  }

  /** There is input that was not taken: what came before TLS must not count after it. */
  get hasMore(): boolean {
    return this.lines.octets > 0 || this.#socket.readableLength > 0;
  }

  /** Begins another phase; it may last so long, and again after each `expect`. */
  enter(phase: Phase, seconds: number): void {
    if (phase !== this.#phase) this.#phase.onLeft?.();
    this.#phase = phase;
    this.expect(seconds);
  }

  isIn(phase: Phase): boolean {
    return this.#phase === phase;
  }

  expect(seconds: number): void {
    this.#deadline = this.#around.seconds + seconds;
  }

  /** Called each second. */
  tick(): void {
    if (this.#around.seconds < this.#deadline) return;
    if (this.#at === "handshake") this.#destroy("TLS timeout");
    else if (this.#at === "closing") this.#destroy(this.#why);
    else this.#phase.onLate();
  }

  /** Works on what came, as far as it can; then sends the replies of this turn together. */
  run() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    let hasAdvanced = true;
    while (hasAdvanced && this.#canRead) hasAdvanced = this.#phase.read();
    this.#isRunning = false;
    if (this.#at === "open") this.#speaker.onTurn?.();
    if (this.#at !== "open") return;
    this.flush();
    if (!this.#canRead) {
      if (this.#phase.reads === "later" || this.#isUnread) this.#pause();
    } else if (this.#hasEnded) this.close("", this.#why);
    else this.#resume();
  }

  get #canRead(): boolean {
    return this.#phase.reads === "now" && !this.#isUnread && this.#at === "open";
  }

  /** A line without its end, or several with all ends but the last. */
  reply(reply: string): void {
    this.#replies += `${reply}\r\n`;
  }

  /** Sends the replies of this turn together. */
  flush(): void {
    if (this.#replies === "" || this.#at === "closing") return;
    const replies = this.#replies;
    this.#replies = "";
    if (!this.#socket.write(replies, "latin1")) this.#isUnread = true;
  }

  /** Sends octets behind the replies. False when they are not on their way yet: `onRoom` follows. */
  write(octets: Buffer): boolean {
    this.flush();
    if (this.#at === "closing") return true;
    if (!this.#socket.write(octets)) this.#isUnread = true;
    return !this.#isUnread;
  }

  /** The client was silent for too long: it is told so, if it reads what it is told. */
  timeOut(lastWord: string) {
    if (this.#isUnread) return this.#destroy("timeout");
    this.close(lastWord, "timeout");
  }

  /** Speaks TLS from the next octet on; the socket comes back as another. */
  startTls(tls: Contexts): void {
    this.flush();
    this.#isUnread = false;
    this.#stopListening();
    this.#at = "handshake";
    this.expect(handshakeSeconds);
    const { number: connection, address, startsWithTls } = this.#terms;
    this.#socket = secureServer(this.#socket, tls, {
      onSecure: (session) => {
        this.#tls = session;
        const { protocol, cipher } = session;
        this.#around.log({ event: "tls", connection, protocol, cipher });
        this.#at = "open";
        this.#socket.on("error", this.#onError);
        this.#listen();
        this.#speaker.onSecure();
        if (startsWithTls) this.#speaker.onOpen();
      },
      onFailure: (why) => {
        this.#around.log({ event: "tls failure", connection, address, why });
        this.#why = "TLS failed";
      },
    });
    this.#socket.on("close", this.#onGone);
  }

  /**
   * The client has said that it goes, and sends nothing after that: one close does, and costs half of an end and its
   * waiting. Within TLS the end is said before it (RFC 8446 §6.1): without, it could be anybody's.
   */
  sayGoodbye(lastWord: string) {
    if (this.lines.octets > 0) return this.close(lastWord, "quit");
    if (this.#at !== "open") return;
    this.#beginClosing("quit");
    this.reply(lastWord);
    // Not within the callback: there Node makes an error, with its stack, that nobody sees.
    const leave = (): void => process.nextTick(() => this.#socket.destroy());
    if (this.#tls) this.#socket.end(this.#replies, "latin1", leave);
    else this.#socket.write(this.#replies, "latin1", leave);
  }

  /** Says a last word, stops sending, and for a while reads and drops what is on its way: a reset would lose the word. */
  close(lastWord: string, why: string) {
    if (this.#at === "closing") return;
    if (this.#at === "handshake") return this.#destroy(why);
    this.#beginClosing(why);
    if (lastWord !== "") this.reply(lastWord);
    if (this.#replies === "") this.#socket.end();
    else this.#socket.end(this.#replies, "latin1");
    this.#resume();
  }

  #destroy(why: string): void {
    this.#why = why;
    this.#socket.destroy();
  }

  #beginClosing(why: string): void {
    this.#why = why;
    this.#endPhase();
    this.lines.rest();
    this.expect(lingerSeconds);
  }

  #endPhase(): void {
    this.#at = "closing";
    this.#phase.onLeft?.();
    this.#phase = nothingYet;
    this.#speaker.onOver?.();
  }

  #listen(): void {
    this.#socket.on("data", this.#onData);
    this.#socket.on("end", this.#onEnd);
    this.#socket.on("drain", this.#onDrain);
  }

  /** Reads no more for a while: the client slows down. */
  #pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#socket.pause();
  }

  #resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#socket.resume();
  }

  #stopListening(): void {
    this.#socket.removeListener("data", this.#onData);
    this.#socket.removeListener("end", this.#onEnd);
    this.#socket.removeListener("drain", this.#onDrain);
    this.#socket.removeListener("close", this.#onGone);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#at === "closing") return;
    this.lines.put(chunk);
    if (this.#canRead) this.run();
    else this.#pause();
    if (this.lines.octets === 0) free(chunk);
    else this.#around.reclaim(chunk.length);
  };
  readonly #onEnd = (): void => {
    this.#hasEnded = true;
    if (this.#canRead) this.close("", this.#why);
  };
  readonly #onDrain = (): void => {
    this.#isUnread = false;
    if (this.#at === "closing") return;
    this.#phase.onRoom?.();
    this.run();
  };
  readonly #onError = (error: NodeJS.ErrnoException): void => {
    this.#why = error.code ?? error.message;
  };
  readonly #onGone = (): void => {
    if (this.#at !== "closing") this.#endPhase();
    this.#speaker.onGone();
    const { number: connection } = this.#terms;
    this.#around.log({ event: "disconnection", connection, why: this.#why, messages: this.#speaker.messages });
  };
}
