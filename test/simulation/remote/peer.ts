import { Buffer } from "node:buffer";
import type { Timeline } from "../timeline.ts";
import type { Given, Ledger, Truth } from "./ledger.ts";
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

/** How long a client may wait for us to say something (RFC 5321 §4.5.3.2; TLS by the client's own word). */
const patienceMs: Readonly<Record<Stage, number>> = {
  greeting: 300_000,
  EHLO: 300_000,
  HELO: 300_000,
  STARTTLS: 60_000,
  TLS: 60_000,
  RSET: 300_000,
  MAIL: 300_000,
  RCPT: 300_000,
  DATA: 120_000,
  body: 180_000,
  dot: 600_000,
};
const graceMs = 5_000;
const commandShape =
  /^(?:EHLO us\.example|HELO us\.example|STARTTLS|RSET|NOOP|DATA|QUIT|MAIL FROM:<[!-=?-~]*>(?: SIZE=[0-9]+)?(?: BODY=8BITMIME)?|RCPT TO:<[!-=?-~]+>)$/;

interface Transaction {
  readonly given: Given | undefined;
  mailCode: number;
  readonly taken: Truth[];
}

/** One connection at a server that behaves as its manners say, and judges every octet the client sends. */
export class Peer {
  readonly #wire: SimulatedWire;
  readonly #address: string;
  readonly #timeline: Timeline;
  readonly #ledger: Ledger;
  readonly #manners: Manners;
  readonly #silenceMs: number;
  #text = "";
  #at: "commands" | "body" | "hands" | "over" = "commands";
  /** Replies that are owed. */
  #owed = 1;
  #readyMs = 0;
  #greeted = false;
  #pipelining = false;
  /** It said what nobody asked for: the order of the client's commands is no fault of the client any more. */
  #isLying = false;
  #secured = false;
  #transaction: Transaction | undefined;
  #body = Buffer.alloc(0);

  constructor(
    wire: SimulatedWire,
    address: string,
    {
      timeline,
      ledger,
      manners,
      silenceMs,
    }: {
      timeline: Timeline;
      ledger: Ledger;
      manners: Manners;
      silenceMs: number;
    },
  ) {
    this.#wire = wire;
    this.#address = address;
    this.#timeline = timeline;
    this.#ledger = ledger;
    this.#manners = manners;
    this.#silenceMs = silenceMs;
    wire.ears = { onOctets: (octets) => this.#hear(octets), onGone: () => this.#gone() };
    this.#answer("greeting", "220 mx ESMTP", () => {
      this.#greeted = true;
    });
  }

  #hear(octets: Buffer): undefined {
    if (this.#at === "over") return;
    if (this.#at === "hands") return this.#fail("speaks in clear during the handshake");
    if (this.#at === "body") return this.#hearBody(octets);
    this.#text += octets.toString("latin1");
    while (this.#at === "commands") {
      const end = this.#text.indexOf("\n");
      if (end < 0) break;
      const line = this.#text.slice(0, end + 1);
      this.#text = this.#text.slice(end + 1);
      if (!line.endsWith("\r\n") || line.indexOf("\r") !== line.length - 2) return this.#fail(`bare CR or LF: ${line}`);
      this.#command(line.slice(0, -2));
    }
    // What follows in the same segment belongs to the body only if that was asked for.
    if (this.#isInBody() && this.#text !== "") this.#fail("sends body before the go-ahead");
  }

  #isInBody(): boolean {
    return this.#at === "body";
  }

  #command(line: string): undefined {
    if (!commandShape.test(line)) return this.#fail(`no command: ${JSON.stringify(line.slice(0, 100))}`);
    const [verb = ""] = line.split(" ", 1);
    if (!this.#greeted && !this.#isLying) return this.#fail(`${verb} before the greeting`);
    if (this.#owed > 0 && !this.#pipelining && !this.#isLying && verb !== "QUIT") this.#fail(`${verb} before its turn`);
    this.#owed++;
    switch (verb) {
      case "EHLO":
        this.#transaction = undefined;
        return this.#ifTaken("EHLO", this.#extensions(), () => {
          this.#pipelining = this.#manners.pipelining;
        });
      case "HELO":
        return this.#answer("HELO", "250 mx");
      case "STARTTLS":
        if (this.#secured || !this.#manners.startTls) this.#fail("STARTTLS, which was not offered");
        return this.#ifTaken("STARTTLS", "220 go ahead", () => this.#shakeHands());
      case "RSET":
      case "NOOP":
        if (verb === "RSET") this.#transaction = undefined;
        return this.#answer("RSET", "250 ok");
      case "MAIL":
        return this.#mail(line);
      case "RCPT":
        return this.#recipient(line);
      case "DATA":
        return this.#data();
      default:
        this.#at = "over";
        this.#wire.hangUp();
    }
  }

  /** Calls `heard` when the client has a reply that grants what it asked for. */
  #ifTaken(stage: Stage, usual: string, heard: () => void): undefined {
    let said = 0;
    return this.#answer(
      stage,
      usual,
      () => void (said < 300 && heard()),
      (code) => {
        said = code;
      },
    );
  }

  #mail(line: string): undefined {
    if (this.#transaction) this.#fail("MAIL within a transaction");
    const given = this.#ledger.of(line.slice(line.indexOf("<") + 1, line.lastIndexOf(">")));
    if (!given) this.#fail(`MAIL of nobody: ${line}`);
    if (line.includes("BODY=") && !this.#manners.eightBitMime) this.#fail("BODY, which was not offered");
    if (line.includes("SIZE=") && this.#manners.maxOctets === undefined) this.#fail("SIZE, which was not offered");
    const transaction: Transaction = { given, mailCode: 0, taken: [] };
    this.#transaction = transaction;
    this.#answer("MAIL", "250 ok", undefined, (code) => {
      transaction.mailCode = code;
      if (code >= 500) for (const truth of given?.truths ?? []) truth.refusals++;
    });
  }

  #recipient(line: string): undefined {
    const transaction = this.#transaction;
    const truth = this.#ledger.truth(line.slice(line.indexOf("<") + 1, line.lastIndexOf(">")));
    if (!transaction) return this.#isLying ? this.#answer("RCPT", "503 no") : this.#fail("RCPT without MAIL");
    if (!truth || !transaction.given?.truths.includes(truth))
      return this.#fail(`not a recipient of this message: ${line}`);
    let said = 0;
    const heard = () => {
      if (transaction.mailCode < 300 && !this.#isLying) truth.heardRcpt = said;
    };
    this.#answer("RCPT", transaction.mailCode >= 400 ? "503 no MAIL" : "250 ok", heard, (code) => {
      said = code;
      if (code >= 500) truth.refusals++;
      if (code < 300) transaction.taken.push(truth);
    });
  }

  #data(): undefined {
    const transaction = this.#transaction;
    if (!transaction) return this.#isLying ? this.#answer("DATA", "503 no") : this.#fail("DATA without MAIL");
    const nobody = transaction.taken.length === 0;
    const usual = nobody && this.#manners.below(2) === 0 ? "554 nobody" : "354 go ahead";
    this.#answer("DATA", usual, undefined, (code) => {
      if (code >= 500) for (const truth of transaction.taken) truth.refusals++;
      if (code < 300 || code >= 400) return;
      this.#at = "body";
      this.#body = Buffer.alloc(0);
      const move = this.#manners.move("body");
      if (move === "stall" || move === "mute") {
        this.#wire.isStalled = true;
        this.#mustEnd("dot"); // a small message is on its way as a whole, and its end is waited for
      } else if (move !== undefined) this.#misbehave("body", move, "250 ok", undefined, this.#refuseAll(transaction));
    });
  }

  #refuseAll(transaction: Transaction): (code: number) => void {
    return (code) => {
      if (code >= 500) for (const truth of transaction.taken) truth.refusals++;
    };
  }

  #hearBody(octets: Buffer): undefined {
    const transaction = this.#transaction;
    if (!transaction) return;
    this.#body = Buffer.concat([this.#body, octets]);
    const wanted = transaction.taken.length === 0 ? Buffer.from(".\r\n") : transaction.given?.encoded;
    if (!wanted) return;
    const length = Math.min(this.#body.length, wanted.length);
    if (!this.#body.subarray(0, length).equals(wanted.subarray(0, length))) {
      return this.#fail(
        transaction.taken.length === 0 ? "message data, and nobody takes it" : "not this message's data",
      );
    }
    if (this.#body.length < wanted.length) return;
    this.#text = this.#body.subarray(wanted.length).toString("latin1");
    if (this.#text !== "") return this.#fail("more after the final dot");
    this.#at = "commands";
    this.#transaction = undefined;
    this.#owed++;
    for (const truth of transaction.taken) truth.dots++;
    const heard = () => {
      for (const truth of transaction.taken) truth.heardTaken += truth.taken;
    };
    this.#answer("dot", transaction.taken.length === 0 ? "554 nobody" : "250 taken", heard, (code) => {
      if (code < 300) for (const truth of transaction.taken) truth.taken = 1;
      if (code >= 500) for (const truth of transaction.taken) truth.refusals++;
    });
  }

  /** `heard`: the client has the reply. `decided`: we know what we say. */
  #answer(stage: Stage, usual: string, heard?: () => void, decided?: (code: number) => void): undefined {
    const move = this.#manners.move(stage);
    if (move === undefined) return this.#say(usual, heard, decided);
    this.#misbehave(stage, move, usual, heard, decided);
  }

  #misbehave(stage: Stage, move: Move, usual: string, heard?: () => void, decided?: (code: number) => void): undefined {
    const isOpening = ["greeting", "EHLO", "HELO", "STARTTLS"].includes(stage);
    switch (move) {
      case "permanent":
        if (isOpening) this.#ledger.hopeless.add(this.#address);
        return this.#say(stage === "EHLO" ? "502 no EHLO" : "550-5.7.1 never\r\n550 5.7.1 really", heard, decided);
      case "temporary":
        return this.#say("451 4.3.0 later", heard, decided);
      case "busy":
        return this.#say("421 4.3.2 going down", heard, decided);
      case "lie":
        if (stage !== "dot") return this.#say(stage === "DATA" ? "250 what" : "354 what", heard, decided);
        return this.#say("354 more", heard, decided);
      case "early":
        this.#isLying = true;
        this.#say(usual, heard, decided);
        return this.#say("250 and this");
      case "close":
      case "reset":
        this.#at = "over";
        this.#wire.hangUp(move === "reset" ? "ECONNRESET" : undefined);
        return undefined;
      case "nonsense":
        this.#at = "over";
        return this.#inTurn(() => this.#wire.say(Buffer.from("hello there\r\n")));
      case "endless":
        this.#at = "over";
        this.#mustEnd(stage);
        return this.#inTurn(() => this.#babble());
      case "half": {
        const half = Buffer.from(usual.slice(0, 1 + this.#manners.below(usual.length)), "latin1");
        this.#at = "over";
        this.#mustEnd(stage);
        return this.#inTurn(() => this.#wire.say(half));
      }
      case "mute":
      case "stall":
        this.#at = "over";
        return this.#mustEnd(stage);
      default:
        return move satisfies never;
    }
  }

  #say(text: string, heard?: () => void, decided?: (code: number) => void): undefined {
    const code = Number(text.slice(0, 3));
    decided?.(code);
    // One after the other: what is due at the same moment happens in any order.
    this.#readyMs =
      Math.max(this.#readyMs + 0.001, this.#timeline.steadyMs) + this.#manners.below(this.#manners.mostMs + 1);
    this.#timeline.after(this.#readyMs - this.#timeline.steadyMs, { dead: false }, () => {
      if (this.#wire.destroyed) return;
      const octets = Buffer.from(`${text}\r\n`, "latin1");
      const step = this.#manners.inOctets ? 1 : octets.length;
      this.#owed--;
      for (let at = 0; at < octets.length; at += step) {
        this.#wire.say(octets.subarray(at, at + step), at + step >= octets.length ? heard : undefined);
      }
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
    if (move === "mute" || move === "half" || move === "stall") this.#mustEnd("TLS");
    else this.#wire.hangUp(move === "reset" ? "ECONNRESET" : "EPROTO");
    this.#at = "over";
  }

  /** The client is on this connection by TLS from now on; false when the handshake comes to nothing. */
  secured(): boolean {
    if (this.#at !== "hands") return false;
    this.#at = "commands";
    this.#secured = true;
    this.#owed = 0;
    this.#pipelining = false;
    this.#text = "";
    return true;
  }

  /** We say nothing more: the client must not wait longer than it may. */
  #mustEnd(stage: Stage): undefined {
    const limitMs =
      Math.min(patienceMs[stage], this.#silenceMs) +
      this.#manners.mostMs +
      graceMs +
      Math.max(0, this.#readyMs - this.#timeline.steadyMs);
    this.#timeline.after(limitMs, { dead: false }, () => {
      if (!this.#wire.destroyed) this.#fail(`waits too long at ${stage}`);
    });
  }

  #gone(): undefined {
    const wasTalking = this.#at === "commands";
    this.#at = "over";
    if (wasTalking && this.#text !== "" && !"QUIT\r\n".startsWith(this.#text))
      this.#fail(`breaks off within ${this.#text.slice(0, 40)}`);
  }

  #fail(why: string): undefined {
    this.#ledger.fail(`the client of ${this.#address} ${why}`);
  }
}
