import { Buffer } from "node:buffer";
import type { Timeline } from "../timeline.ts";
import type { SimulatedWire } from "./wire.ts";

export type Stage =
  | "greeting"
  | "EHLO"
  | "HELO"
  | "STARTTLS"
  | "TLS"
  | "RSET"
  | "MAIL"
  | "RCPT"
  | "DATA"
  | "body"
  | "dot";

/** What a peer does at a stage instead of what it should. */
export const moves = [
  "temporary",
  "permanent",
  "busy",
  "lie",
  "mute",
  "close",
  "reset",
  "half",
  "nonsense",
  "endless",
  "early",
  "stall",
] as const;
export type Move = (typeof moves)[number];

export interface Manners {
  readonly pipelining: boolean;
  readonly eightBitMime: boolean;
  readonly startTls: boolean;
  readonly maxOctets: number | undefined;
  /** Longest wait before a reply. */
  readonly mostMs: number;
  /** Replies leave octet by octet. */
  readonly inOctets: boolean;
  /** What happens at a stage this time. */
  move(stage: Stage): Move | undefined;
  below(limit: number): number;
}

/** How the names of recipients begin that no peer knows. */
export const unknown = "u";
/** The octets in which a body may end, but for the last. */
const endOctets = 4;

interface Transaction {
  readonly mailCode: number;
  /** Recipients it took. */
  taken: number;
}

/** One connection at a server that behaves as its manners say. It judges nothing: see `judge.ts`. */
export class Peer {
  readonly #wire: SimulatedWire;
  readonly #timeline: Timeline;
  readonly #manners: Manners;
  /** What it has heard and not yet understood; of a body, its end. */
  #text = "";
  #at: "commands" | "body" | "hands" | "over" = "commands";
  #readyMs = 0;
  #secured = false;
  #transaction: Transaction | undefined;

  constructor(wire: SimulatedWire, timeline: Timeline, manners: Manners) {
    this.#wire = wire;
    this.#timeline = timeline;
    this.#manners = manners;
    wire.ears = {
      onOctets: (octets) => this.#hear(octets),
      onGone: () => {
        this.#at = "over";
      },
    };
    this.#answer("greeting", "220 mx ESMTP");
  }

  #hear(octets: Buffer): undefined {
    if (this.#at === "over" || this.#at === "hands") return;
    this.#text += octets.toString("latin1");
    for (;;) {
      const mark = this.#at === "body" ? "\r\n.\r\n" : "\n";
      const end = this.#text.indexOf(mark);
      if (end < 0) break;
      const line = this.#text.slice(0, end).trimEnd();
      this.#text = this.#text.slice(end + mark.length);
      if (this.#at === "body") this.#endOfBody();
      else if (this.#at === "commands") this.#command(line);
      else return;
    }
    if (this.#at === "body") this.#text = this.#text.slice(-endOctets);
  }

  #command(line: string): undefined {
    const [verb = ""] = line.split(" ", 1);
    switch (verb) {
      case "EHLO":
        this.#transaction = undefined;
        return this.#answer("EHLO", this.#extensions());
      case "HELO":
        return this.#answer("HELO", "250 mx");
      case "STARTTLS":
        return this.#answer("STARTTLS", "220 go ahead", (code) => {
          if (code < 300) this.#shakeHands();
        });
      case "RSET":
        this.#transaction = undefined;
        return this.#answer("RSET", "250 ok");
      case "MAIL":
        return this.#answer("MAIL", "250 ok", (mailCode) => {
          this.#transaction = { mailCode, taken: 0 };
        });
      case "RCPT":
        return this.#recipient(line);
      case "DATA":
        return this.#data();
      case "QUIT":
        this.#at = "over";
        this.#wire.hangUp();
        break;
      default:
        return this.#say("500 what");
    }
  }

  #recipient(line: string): undefined {
    const transaction = this.#transaction;
    const isReady = transaction !== undefined && transaction.mailCode < 300;
    const usual = line.includes(`<${unknown}`) ? "550 5.1.1 unknown" : "250 ok";
    this.#answer("RCPT", isReady ? usual : "503 no MAIL", (code) => {
      if (transaction && code < 300) transaction.taken++;
    });
  }

  #data(): undefined {
    const nobody = !this.#transaction || this.#transaction.taken === 0;
    const usual = nobody && this.#manners.below(2) === 0 ? "554 nobody" : "354 go ahead";
    this.#answer("DATA", usual, (code) => {
      if (code < 300 || code >= 400) return;
      this.#at = "body";
      this.#text = "\r\n";
      const move = this.#manners.move("body");
      if (move === "stall" || move === "mute") this.#wire.isStalled = true;
      else if (move !== undefined) this.#misbehave("body", move, "250 ok");
    });
  }

  #endOfBody(): undefined {
    const nobody = !this.#transaction || this.#transaction.taken === 0;
    this.#at = "commands";
    this.#transaction = undefined;
    this.#answer("dot", nobody ? "554 nobody" : "250 taken");
  }

  /** `decided`: we know what we say. */
  #answer(stage: Stage, usual: string, decided?: (code: number) => void): undefined {
    const move = this.#manners.move(stage);
    if (move === undefined) return this.#say(usual, decided);
    this.#misbehave(stage, move, usual, decided);
  }

  #misbehave(stage: Stage, move: Move, usual: string, decided?: (code: number) => void): undefined {
    switch (move) {
      case "permanent":
        return this.#say(stage === "EHLO" ? "502 no EHLO" : "550-5.7.1 never\r\n550 5.7.1 really", decided);
      case "temporary":
        return this.#say("451 4.3.0 later", decided);
      case "busy":
        return this.#say("421 4.3.2 going down", decided);
      case "lie":
        if (stage !== "dot") return this.#say(stage === "DATA" ? "250 what" : "354 what", decided);
        return this.#say("354 more", decided);
      case "early":
        if (this.#manners.below(2) === 0) return this.#say(`${usual}\r\n250 and this`, decided);
        this.#say(usual, decided);
        return this.#say("250 and this");
      case "close":
      case "reset":
        this.#at = "over";
        this.#wire.hangUp(move === "reset" ? "ECONNRESET" : undefined);
        break;
      case "nonsense":
        this.#at = "over";
        return this.#inTurn(() => this.#wire.say(Buffer.from("hello there\r\n")));
      case "endless":
        this.#at = "over";
        return this.#inTurn(() => this.#babble());
      case "half": {
        const half = Buffer.from(usual.slice(0, 1 + this.#manners.below(usual.length)), "latin1");
        this.#at = "over";
        return this.#inTurn(() => this.#wire.say(half));
      }
      case "mute":
      case "stall":
        this.#at = "over";
        break;
      default:
        return move satisfies never;
    }
  }

  #say(text: string, decided?: (code: number) => void): undefined {
    // One after the other: what is due at the same moment happens in any order.
    this.#readyMs =
      Math.max(this.#readyMs + 0.001, this.#timeline.steadyMs) + this.#manners.below(this.#manners.mostMs + 1);
    decided?.(Number(text.slice(0, 3)));
    this.#timeline.after(this.#readyMs - this.#timeline.steadyMs, { dead: false }, () => {
      if (this.#wire.destroyed) return;
      const octets = Buffer.from(`${text}\r\n`, "latin1");
      const step = this.#manners.inOctets ? 1 : octets.length;
      for (let at = 0; at < octets.length; at += step) this.#wire.say(octets.subarray(at, at + step));
    });
  }

  /** After all replies that are owed. */
  #inTurn(then: () => void): undefined {
    this.#timeline.after(Math.max(0, this.#readyMs - this.#timeline.steadyMs) + 0.001, { dead: false }, then);
  }

  #babble(): undefined {
    if (this.#wire.destroyed) return;
    this.#wire.say(Buffer.from("250-and so on\r\n"));
    this.#timeline.after(1_000, { dead: false }, () => this.#babble());
  }

  #extensions(): string {
    const { pipelining, eightBitMime, startTls, maxOctets } = this.#manners;
    const size = maxOctets === undefined ? undefined : `SIZE ${maxOctets}`;
    const offers = [
      "mx",
      pipelining && "PIPELINING",
      eightBitMime && "8BITMIME",
      startTls && !this.#secured && "STARTTLS",
      size,
    ].filter((offer) => typeof offer === "string");
    return offers.map((offer, at) => `250${at < offers.length - 1 ? "-" : " "}${offer}`).join("\r\n");
  }

  #shakeHands(): undefined {
    this.#at = "hands";
    const move = this.#manners.move("TLS");
    if (move === undefined) return;
    this.#at = "over";
    if (move === "mute" || move === "half" || move === "stall") return;
    this.#inTurn(() => this.#wire.hangUp(move === "reset" ? "ECONNRESET" : "EPROTO"));
  }

  /** The client is on this connection by TLS from now on; false when the handshake comes to nothing. */
  secured(): boolean {
    if (this.#at !== "hands") return false;
    this.#at = "commands";
    this.#secured = true;
    this.#text = "";
    return true;
  }
}
