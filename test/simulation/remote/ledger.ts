import { Buffer } from "node:buffer";

/** What became of one recipient, by what the client was told of it. */
export interface Truth {
  readonly forwardPath: string;
  /** Reasons to give it up: the client heard 5xx of it. */
  refusals: number;
  /** What the client heard for its RCPT, where MAIL had been taken. */
  heardRcpt: number;
  /** How often the client has sent the whole message, and how often it heard that it was taken. */
  dots: number;
  heardTaken: number;
  reports: string[];
}

/** One message as `queue` gave it. */
export interface Given {
  readonly stream: number;
  readonly reversePath: string;
  readonly domain: string;
  /** Addresses it may go to. */
  readonly hosts: readonly string[];
  readonly truths: readonly Truth[];
  readonly body: string;
  /** What must be on the wire after DATA, to the final dot. */
  readonly encoded: Buffer;
  readonly beganMs: number;
  ends: number;
  /** Nobody waits for it any more. */
  isDropped: boolean;
}

/** All that was asked for and what is known of it; the first thing that must not be. */
export class Ledger {
  readonly #given = new Map<string, Given>();
  readonly #truths = new Map<string, Truth>();
  /** Domains, and addresses, of which something was said that may end a message for good. */
  readonly hopeless = new Set<string>();
  violation: string | undefined;

  fail(why: string): undefined {
    this.violation ??= why;
  }

  add(given: Given): void {
    this.#given.set(given.reversePath, given);
    for (const truth of given.truths) this.#truths.set(truth.forwardPath, truth);
  }

  get all(): Iterable<Given> {
    return this.#given.values();
  }

  of(reversePath: string): Given | undefined {
    return this.#given.get(reversePath);
  }

  truth(forwardPath: string): Truth | undefined {
    return this.#truths.get(forwardPath);
  }

  report(given: Given, number: number, letter: string, text: string): undefined {
    const truth = given.truths[number];
    if (!truth) return this.fail(`a report for recipient ${number} of stream ${given.stream}, which has none such`);
    if (given.ends > 0) this.fail(`a report for ${truth.forwardPath} after its end`);
    truth.reports.push(letter);
    if (truth.reports.length > 1) this.fail(`two reports for ${truth.forwardPath}`);
    const says = `${truth.forwardPath} is reported ${letter} (${text.replaceAll("\n", " ").slice(0, 200)})`;
    if (letter === "K" && truth.heardTaken === 0) this.fail(`${says}, and no peer took it`);
    if (letter !== "K" && truth.heardTaken > 0) this.fail(`${says}, and a peer took it`);
    if (letter === "Z" && truth.dots > 0 && truth.refusals === 0 && !text.includes("Possible duplicate")) {
      if (!text.includes("Remote host said: 4") && !text.includes("Remote host said: 3"))
        this.fail(`${says}: and a doubt`);
    }
    const isHopeless = truth.refusals > 0 || [given.domain, ...given.hosts].some((each) => this.hopeless.has(each));
    if (letter === "D" && !isHopeless) this.fail(`${says}, and nobody said so`);
    if (letter !== "D" && truth.heardRcpt >= 500) this.fail(`${says}, and it was refused for good`);
    if (letter !== "Z" && truth.heardRcpt >= 400 && truth.heardRcpt < 500) this.fail(`${says}, and it was put off`);
    if (truth.dots > 1) this.fail(`${truth.forwardPath} was sent twice in one attempt`);
  }

  end(given: Given, nowMs: number, longestMs: number): void {
    if (++given.ends > 1) this.fail(`stream ${given.stream} ends twice`);
    for (const truth of given.truths) if (truth.reports.length !== 1) this.fail(`no report for ${truth.forwardPath}`);
    if (nowMs - given.beganMs > longestMs) this.fail(`stream ${given.stream} took ${nowMs - given.beganMs} ms`);
  }
}

/** The message as RFC 5321 §4.5.2 wants it on the wire, with our rule for CR; written otherwise than the real one. */
export function encode(body: string): Buffer {
  const ended = body.endsWith("\r") ? `${body}\n` : body;
  const whole = ended === "" || ended.endsWith("\n") ? ended : `${ended}\n`;
  const lines = whole.split("\n").slice(0, -1);
  const wire = lines.map((line) => {
    const plain = (line.endsWith("\r") ? line.slice(0, -1) : line).replaceAll("\r", " ");
    return `${plain.startsWith(".") ? "." : ""}${plain}\r\n`;
  });
  return Buffer.from(`${wire.join("")}.\r\n`, "latin1");
}
