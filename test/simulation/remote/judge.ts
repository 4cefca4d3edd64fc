import { Buffer } from "node:buffer";
import type { Timeline } from "../timeline.ts";
import type { Given, Ledger, Truth } from "./ledger.ts";
import { type Reply, ReplyLines } from "./reply-lines.ts";
import type { SimulatedWire, Witness } from "./wire.ts";

/** How long the client may wait, by what it asked (RFC 5321 §4.5.3.2; TLS and the end by its own word). */
const patienceMs = {
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
  end: 5_000,
} as const;
const graceMs = 5_000;
const commandShape =
  /^(?:EHLO us\.example|HELO us\.example|STARTTLS|RSET|NOOP|DATA|QUIT|MAIL FROM:<[!-=?-~]*>(?: SIZE=[0-9]+)?(?: BODY=8BITMIME)?|RCPT TO:<[!-=?-~]+>)$/;

type Stage = keyof typeof patienceMs;

/** What the client has asked and has no reply for. */
interface Question {
  readonly stage: Stage;
  readonly truth?: Truth;
}

interface Transaction {
  readonly given: Given | undefined;
  mailCode: number;
  readonly taken: Truth[];
}

/**
 * Judges all that the client says on one connection, and how long it waits, by what it knew at that moment: it sits at
 * the client's end. A reply is the answer to the first thing asked that has none, whatever the peer meant by it, since
 * no client can tell; a reply when nothing was asked, or that cannot be, must be the end of the connection.
 */
export class Judge implements Witness {
  readonly #wire: SimulatedWire;
  readonly #address: string;
  readonly #timeline: Timeline;
  readonly #ledger: Ledger;
  readonly #silenceMs: number;
  readonly #asked: Question[] = [{ stage: "greeting" }];
  #replies = new ReplyLines();
  #at: "commands" | "body" | "TLS" | "end" = "commands";
  /** What ended it. */
  #ended = "";
  #stopTimer: () => void = () => {};
  #offers = "";
  #hello: "" | "refused" | "taken" = "";
  #secured = false;
  #transaction: Transaction | undefined;
  #body = Buffer.alloc(0);

  constructor(
    wire: SimulatedWire,
    address: string,
    { timeline, ledger, silenceMs }: { timeline: Timeline; ledger: Ledger; silenceMs: number },
  ) {
    this.#wire = wire;
    this.#address = address;
    this.#timeline = timeline;
    this.#ledger = ledger;
    this.#silenceMs = silenceMs;
    this.#expectProgress();
  }

  /** The client is on this connection by TLS from now on. */
  secured(): void {
    this.#at = "commands";
    this.#replies = new ReplyLines();
    this.#secured = true;
    this.#offers = "";
    this.#hello = "";
  }

  onSent(octets: Buffer): undefined {
    if (this.#at === "end") return this.#fail(`goes on after ${this.#ended}`);
    if (this.#at === "TLS") return this.#fail("speaks in clear during the handshake");
    if (this.#at === "body") this.#onBody(octets);
    else this.#onCommands(octets.toString("latin1"));
    this.#expectProgress();
  }

  onHeard(octets: Buffer): undefined {
    for (const reply of this.#replies.read(octets)) {
      const question = this.#asked.shift();
      if (this.#at === "end") return;
      if (reply === "broken") this.#end("what is no reply");
      else if (question) this.#onReply(question, reply);
      else this.#onUnasked(reply);
      this.#expectProgress();
    }
  }

  #onCommands(text: string): undefined {
    const lines = text.split("\r\n");
    if (lines.pop() !== "") return this.#fail(`half a line, or ends it in bare CR or LF: ${text.slice(0, 100)}`);
    for (const line of lines) this.#onCommand(line);
  }

  #onCommand(line: string): undefined {
    if (!commandShape.test(line)) return this.#fail(`no command: ${JSON.stringify(line.slice(0, 100))}`);
    const [verb = ""] = line.split(" ", 1);
    const may = (stage: Stage) => this.#offers.includes("PIPELINING") && pipelined.has(stage);
    if (!this.#asked.every(({ stage }) => may(stage))) this.#fail(`${verb} before its turn`);
    if (this.#hello !== "taken" && verb !== "EHLO" && verb !== "QUIT" && (verb !== "HELO" || this.#hello !== "refused"))
      this.#fail(`${verb} before EHLO`);
    switch (verb) {
      case "EHLO":
      case "HELO":
        this.#asked.push({ stage: verb });
        break;
      case "STARTTLS":
        if (this.#secured || !this.#offers.includes("STARTTLS")) this.#fail("STARTTLS, which was not offered");
        this.#asked.push({ stage: verb });
        break;
      case "RSET":
      case "NOOP":
        if (verb === "RSET") this.#transaction = undefined;
        this.#asked.push({ stage: "RSET" });
        break;
      case "MAIL":
        this.#onMail(line);
        break;
      case "RCPT":
        this.#onRecipient(line);
        break;
      case "DATA":
        if (!this.#transaction) return this.#fail("DATA without MAIL");
        if (this.#asked.length === 0 && this.#transaction.taken.length === 0) this.#fail("DATA for nobody");
        this.#asked.push({ stage: verb });
        break;
      default:
        this.#end("QUIT");
    }
  }

  #onMail(line: string): undefined {
    if (this.#transaction) this.#fail("MAIL within a transaction");
    const given = this.#ledger.of(pathOf(line));
    if (!given) this.#fail(`MAIL of nobody: ${line}`);
    if (line.includes("BODY=") && !this.#offers.includes("8BITMIME")) this.#fail("BODY, which was not offered");
    if (line.includes("SIZE=") && !this.#offers.includes("SIZE")) this.#fail("SIZE, which was not offered");
    this.#transaction = { given, mailCode: 0, taken: [] };
    this.#asked.push({ stage: "MAIL" });
  }

  #onRecipient(line: string): undefined {
    const truth = this.#ledger.truth(pathOf(line));
    if (!this.#transaction) return this.#fail("RCPT without MAIL");
    if (this.#transaction.mailCode >= 300) return this.#fail("RCPT though MAIL was refused");
    if (!truth || !this.#transaction.given?.truths.includes(truth))
      return this.#fail(`not a recipient of this message: ${line}`);
    this.#asked.push({ stage: "RCPT", truth });
  }

  #onBody(octets: Buffer): undefined {
    const transaction = this.#transaction;
    const nobody = transaction?.taken.length === 0;
    const wanted = nobody ? Buffer.from(".\r\n") : transaction?.given?.encoded;
    if (!transaction || !wanted) return;
    const from = this.#body.length;
    this.#body = Buffer.concat([this.#body, octets]);
    const until = Math.min(this.#body.length, wanted.length);
    if (!this.#body.subarray(from, until).equals(wanted.subarray(from, until)))
      return this.#fail(nobody ? "message data, and nobody takes it" : "not this message's data");
    if (this.#body.length > wanted.length) return this.#fail("more after the final dot");
    if (this.#body.length < wanted.length) return;
    this.#at = "commands";
    this.#asked.push({ stage: "dot" });
    for (const truth of transaction.taken) truth.dots++;
  }

  #onReply({ stage, truth }: Question, { code, text }: Reply): undefined {
    const mustEnd = () => this.#end(`${code} to ${stage}`);
    if (code === 421 || (code >= 300 && code < 400 && stage !== "DATA")) mustEnd();
    switch (stage) {
      case "greeting":
      case "HELO":
        if (code >= 500) this.#ledger.hopeless.add(this.#address);
        if (stage === "greeting" ? code !== 220 : code >= 300) mustEnd();
        else if (stage === "HELO") this.#hello = "taken";
        break;
      case "EHLO":
        this.#hello = code < 300 ? "taken" : "refused";
        this.#offers = code < 300 ? text : "";
        if (code >= 300 && code < 500) mustEnd();
        break;
      case "STARTTLS":
        // Whoever grants it by another word may wait for the handshake.
        if (code === 220) this.#at = "TLS";
        else if (code < 400) mustEnd();
        break;
      case "RSET":
        if (code >= 300) mustEnd();
        break;
      default:
        if (this.#transaction) this.#onMailReply(this.#transaction, stage, truth, code);
    }
  }

  #onMailReply(transaction: Transaction, stage: Stage, truth: Truth | undefined, code: number): undefined {
    const { given, taken } = transaction;
    if (stage === "MAIL") {
      transaction.mailCode = code;
      if (code >= 500) refuse(given?.truths ?? []);
    } else if (stage === "RCPT" && truth) {
      if (code >= 500) refuse([truth]);
      if (transaction.mailCode < 300 && (code < 300 || code >= 400)) truth.heardRcpt = code;
      if (code < 300) taken.push(truth);
    } else if (stage === "DATA") {
      if (code < 300) this.#end(`${code} to DATA`);
      else if (code < 400) this.#at = "body";
      else if (code >= 500) refuse(taken);
      this.#body = Buffer.alloc(0);
    } else {
      this.#transaction = undefined;
      if (code >= 500) refuse(taken);
      if (code < 300) for (const each of taken) each.heardTaken++;
    }
  }

  /** A refusal amid the body counts. */
  #onUnasked({ code }: Reply): undefined {
    if (this.#at === "body" && code >= 500) refuse(this.#transaction?.taken ?? []);
    this.#end(`${code} to nothing it asked`);
  }

  #end(why: string): undefined {
    if (this.#at !== "end") this.#ended = why;
    this.#at = "end";
  }

  #expectProgress(): undefined {
    this.#stopTimer();
    const stage = this.#at === "commands" ? this.#asked[0]?.stage : this.#at;
    if (stage === undefined) return;
    const limitMs = Math.min(patienceMs[stage], this.#silenceMs) + graceMs;
    this.#stopTimer = this.#timeline.after(limitMs, { dead: false }, () => {
      if (!this.#wire.destroyed) this.#fail(`waits too long at ${stage}`);
    });
  }

  #fail(why: string): undefined {
    this.#ledger.fail(`the client of ${this.#address} ${why}`);
  }
}

/** What may be followed by more before its reply, where that is offered (RFC 2920 §3.1). */
const pipelined: ReadonlySet<Stage> = new Set<Stage>(["RSET", "MAIL", "RCPT"]);

const pathOf = (line: string): string => line.slice(line.indexOf("<") + 1, line.lastIndexOf(">"));

function refuse(truths: readonly Truth[]): undefined {
  for (const truth of truths) truth.refusals++;
}
