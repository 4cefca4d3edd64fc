import { quoteAddress } from "../address.ts";
import { xverpOf } from "../verp.ts";
import { acceptedBy, diedOn, type Fate, failed, refusedBy } from "./client-fate.ts";
import { quoteReply, type Reply } from "./reply.ts";

/**
 * One message for one peer. Addresses as the queue has them: not quoted, printable, `""` the null reverse-path; one with
 * VERP has several forward-paths only where `offersXverp`.
 */
export interface Transaction {
  readonly reversePath: string;
  readonly forwardPaths: readonly string[];
  readonly octets: number;
  /** BODY=8BITMIME was declared to us (RFC 6152): we declare it to a peer that offers it; another gets it as it is. */
  readonly eightBit: boolean;
}

/** What the peer is to answer next; it decides how long we wait (RFC 5321 §4.5.3.2). */
export type Step = "greeting" | "hello" | "TLS" | "command" | "DATA" | "body" | "end of data" | "nothing";

/** What the holder of the connection does next. */
export type ClientAction =
  | { readonly kind: "wait" }
  | { readonly kind: "send"; readonly text: string }
  /** Drop all that was read, shake hands, and call `onTls`. */
  | { readonly kind: "start TLS" }
  /** `begin` may be called. */
  | { readonly kind: "ready" }
  /** Send the body; call `onDotSent` as its end goes out. */
  | { readonly kind: "body" }
  /** One fate for each forward-path. `untouched`: the peer died before it took the MAIL: another connection may try. */
  | {
      readonly kind: "finished";
      readonly fates: readonly Fate[];
      readonly reusable: boolean;
      readonly untouched: boolean;
    }
  /** TLS was begun and came to nothing: another connection, in clear, may do. */
  | { readonly kind: "no TLS" }
  /** This host takes no mail from us now. */
  | { readonly kind: "unusable"; readonly fate: Fate };

interface Command {
  readonly verb: "RSET" | "MAIL" | "RCPT" | "DATA";
  readonly text: string;
}

/** A transaction under way. `fates` are those decided, by the place of the forward-path. */
interface Progress {
  readonly commands: readonly Command[];
  readonly fates: (Fate | undefined)[];
  answered: number;
  rejected: number;
  mailTaken: boolean;
}

type State =
  | { readonly at: "greeting" | "EHLO" | "HELO" | "STARTTLS" | "TLS" | "ready" | "over" }
  | { readonly at: "commands" | "body" | "end of data" | "end of nothing"; readonly progress: Progress };

interface Extensions {
  readonly pipelining: boolean;
  readonly eightBitMime: boolean;
  readonly startTls: boolean;
  readonly xverp: boolean;
  /** Largest message taken; undefined when it does not say. */
  readonly maxOctets?: number;
}

const noExtensions: Extensions = { pipelining: false, eightBitMime: false, startTls: false, xverp: false };
const wait: ClientAction = { kind: "wait" };
const send = (text: string): ClientAction => ({ kind: "send", text });
const isSuccess = (reply: Reply) => reply.code < 300;

/**
 * The client's side of one SMTP connection (RFC 5321 §3, §4), without the connection: replies in, actions out. `peer`
 * is its address, for the texts. With `startTls` it takes STARTTLS where offered (RFC 3207), else it stays in clear.
 */
export class SmtpClient {
  readonly #peer: string;
  readonly #heloHost: string;
  #startTls: boolean;
  #state: State = { at: "greeting" };
  #extensions = noExtensions;
  #needsReset = false;

  constructor(peer: string, heloHost: string, startTls: boolean) {
    this.#peer = peer;
    this.#heloHost = heloHost;
    this.#startTls = startTls;
  }

  get step(): Step {
    switch (this.#state.at) {
      case "EHLO":
      case "HELO":
        return "hello";
      case "STARTTLS":
      case "TLS":
        return "TLS";
      case "commands":
        return this.#state.progress.commands[this.#state.progress.answered]?.verb === "DATA" ? "DATA" : "command";
      case "end of nothing":
        return "end of data";
      case "ready":
      case "over":
        return "nothing";
      default:
        return this.#state.at;
    }
  }

  /** The peer makes a reverse-path for each recipient itself, when asked to. */
  get offersXverp(): boolean {
    return this.#extensions.xverp;
  }

  onReply(reply: Reply): ClientAction {
    const state = this.#state;
    switch (state.at) {
      case "greeting":
        if (reply.code !== 220) return this.#unusable(reply, "greeting failed");
        return this.#hello("EHLO");
      case "EHLO":
        if (isSuccess(reply)) return this.#onExtensions(reply);
        return reply.code >= 500 ? this.#hello("HELO") : this.#unusable(reply, "my name was rejected");
      case "HELO":
        return isSuccess(reply) ? this.#ready() : this.#unusable(reply, "my name was rejected");
      case "STARTTLS":
        if (reply.code === 421) return this.#unusable(reply, "STARTTLS was rejected");
        if (reply.code !== 220) return this.#ready();
        this.#state = { at: "TLS" };
        return { kind: "start TLS" };
      case "commands":
        return this.#onCommandReply(state.progress, reply);
      case "body":
        return this.#onEarlyReply(state.progress, reply);
      case "end of data":
        return this.#finish(state.progress, this.#endFate(reply), reply.code !== 421 && reply.code !== 354);
      case "end of nothing":
        return this.#finish(state.progress, this.#endFate(reply), reply.code !== 421);
      case "TLS":
      case "ready":
      case "over":
        return this.lost(`a reply came that nothing asked for: ${quoteReply(reply).trimEnd()}`);
      default:
        return state satisfies never;
    }
  }

  /** The handshake succeeded: what was said in clear does not count. */
  onTls(): ClientAction {
    this.#extensions = noExtensions;
    this.#startTls = false;
    return this.#hello("EHLO");
  }

  /** Only when ready. */
  begin(transaction: Transaction): ClientAction {
    const { maxOctets } = this.#extensions;
    const commands = this.#commands(transaction);
    const fates = transaction.forwardPaths.map(() => undefined);
    const progress: Progress = { commands, fates, answered: 0, rejected: 0, mailTaken: false };
    if (maxOctets !== undefined && transaction.octets > maxOctets) {
      const text = `${this.#peer} takes no message of more than ${maxOctets} octets. (#5.3.4)\n`;
      return this.#finish(progress, failed("3.4", text), true);
    }
    this.#state = { at: "commands", progress };
    this.#needsReset = true;
    if (this.#extensions.pipelining) return send(commands.map((command) => command.text).join(""));
    return send((commands[0] as Command).text);
  }

  /** The end of the body is on its way: from here on a lost connection leaves a doubt. */
  onDotSent(): void {
    if (this.#state.at === "body") this.#state = { at: "end of data", progress: this.#state.progress };
  }

  /** The connection ended, stood still for too long, or the peer does not speak SMTP. */
  lost(why: string): ClientAction {
    const state = this.#state;
    this.#state = { at: "over" };
    if ("progress" in state) {
      return this.#finish(state.progress, diedOn(this.#peer, why, state.at === "end of data"), false);
    }
    if (state.at === "STARTTLS" || state.at === "TLS") return { kind: "no TLS" };
    return { kind: "unusable", fate: diedOn(this.#peer, why, false) };
  }

  #hello(verb: "EHLO" | "HELO"): ClientAction {
    this.#state = { at: verb };
    return send(`${verb} ${this.#heloHost}\r\n`);
  }

  #onExtensions(reply: Reply): ClientAction {
    this.#extensions = readExtensions(reply.lines.slice(1));
    if (!this.#startTls || !this.#extensions.startTls) return this.#ready();
    this.#state = { at: "STARTTLS" };
    return send("STARTTLS\r\n");
  }

  #ready(): ClientAction {
    this.#state = { at: "ready" };
    return { kind: "ready" };
  }

  #unusable(reply: Reply, what: string): ClientAction {
    this.#state = { at: "over" };
    return { kind: "unusable", fate: refusedBy(reply, `Connected to ${this.#peer} but ${what}.`) };
  }

  #commands({ reversePath, forwardPaths, octets, eightBit }: Transaction): Command[] {
    const size = this.#extensions.maxOctets === undefined ? "" : ` SIZE=${octets}`;
    const body = eightBit && this.#extensions.eightBitMime ? " BODY=8BITMIME" : "";
    const asked = forwardPaths.length > 1 ? xverpOf(reversePath) : undefined;
    const verp = asked ? ` XVERP=${asked.delimiters}` : "";
    const reset: Command[] = this.#needsReset ? [{ verb: "RSET", text: "RSET\r\n" }] : [];
    return [
      ...reset,
      { verb: "MAIL", text: `MAIL FROM:<${quoteAddress(asked?.reversePath ?? reversePath)}>${size}${body}${verp}\r\n` },
      ...forwardPaths.map((path): Command => ({ verb: "RCPT", text: `RCPT TO:<${quoteAddress(path)}>\r\n` })),
      { verb: "DATA", text: "DATA\r\n" },
    ];
  }

  #onCommandReply(progress: Progress, reply: Reply): ClientAction {
    const command = progress.commands[progress.answered++] as Command;
    if (reply.code >= 300 && reply.code < 400 && command.verb !== "DATA") {
      return this.lost(`answered ${command.verb} with ${quoteReply(reply).trimEnd()}`);
    }
    switch (command.verb) {
      case "RSET":
        if (!isSuccess(reply)) return this.lost(`answered RSET with ${quoteReply(reply).trimEnd()}`);
        break;
      case "MAIL":
        progress.mailTaken = isSuccess(reply);
        if (!progress.mailTaken) {
          decideRest(progress, refusedBy(reply, `Connected to ${this.#peer} but sender was rejected.`));
        }
        break;
      case "RCPT":
        this.#onRecipientReply(progress, reply);
        break;
      case "DATA":
        return this.#onDataReply(progress, reply);
      default:
        command.verb satisfies never;
    }
    if (reply.code === 421) return this.lost(`Remote host said: ${quoteReply(reply).trimEnd()}`);
    if (this.#extensions.pipelining) return wait;
    if (isDecided(progress)) return this.#finish(progress, this.#disliked(reply), true);
    return send((progress.commands[progress.answered] as Command).text);
  }

  #onRecipientReply(progress: Progress, reply: Reply): void {
    const place = progress.fates.length + progress.answered - progress.commands.length;
    if (isSuccess(reply) || progress.fates[place]) return;
    progress.fates[place] = this.#disliked(reply);
    progress.rejected++;
  }

  #disliked(reply: Reply): Fate {
    return refusedBy(reply, `${this.#peer} does not like recipient.`);
  }

  #onDataReply(progress: Progress, reply: Reply): ClientAction {
    if (reply.code < 300 || reply.code >= 400) {
      const fate = refusedBy(reply, `${this.#peer} failed on DATA command.`);
      return this.#finish(progress, fate, reply.code >= 400 && reply.code !== 421);
    }
    const nobody = isDecided(progress);
    // It took the DATA of a transaction without recipients: the shortest way out is an empty message (RFC 2920 §3.1).
    this.#state = { at: nobody ? "end of nothing" : "body", progress };
    return nobody ? send(".\r\n") : { kind: "body" };
  }

  /** A refusal before the final dot ends it: we send no dot. A success cannot be meant for what it has not read. */
  #onEarlyReply(progress: Progress, reply: Reply): ClientAction {
    if (reply.code < 400) return this.lost(`answered before the end of the message: ${quoteReply(reply).trimEnd()}`);
    const fate = refusedBy(reply, `${this.#peer} refused the message before its end.`);
    return this.#finish(progress, fate, false);
  }

  #endFate(reply: Reply): Fate {
    if (isSuccess(reply)) return acceptedBy(this.#peer, reply);
    return refusedBy(reply, `${this.#peer} failed after I sent the message.`);
  }

  /** Gives all who are still undecided `fate`. */
  #finish(progress: Progress, fate: Fate, reusable: boolean): ClientAction {
    const ended = this.#state.at;
    this.#state = { at: reusable ? "ready" : "over" };
    if (ended === "end of data" || ended === "end of nothing") this.#needsReset = false;
    if (progress.rejected === progress.fates.length) giveUp(progress, this.#peer);
    decideRest(progress, fate);
    const untouched = !reusable && !progress.mailTaken;
    return { kind: "finished", fates: progress.fates as Fate[], reusable, untouched };
  }
}

const isDecided = (progress: Progress): boolean => progress.fates.every((fate) => fate !== undefined);

function decideRest(progress: Progress, fate: Fate): void {
  for (const [place, decided] of progress.fates.entries()) progress.fates[place] = decided ?? fate;
}

function giveUp(progress: Progress, peer: string): void {
  for (const [place, fate] of progress.fates.entries()) {
    if (fate) progress.fates[place] = { ...fate, text: `${fate.text}Giving up on ${peer}.\n` };
  }
}

/** The lines of a reply to EHLO, its first left out (RFC 5321 §4.1.1.1). Keywords we do not know are passed over. */
function readExtensions(lines: readonly string[]): Extensions {
  const keywords = new Map(lines.map((line) => [keyword(line), line]));
  const size = /^SIZE ([0-9]{1,20})$/i.exec(keywords.get("SIZE") ?? "")?.[1];
  const extensions = {
    pipelining: keywords.has("PIPELINING"),
    eightBitMime: keywords.has("8BITMIME"),
    startTls: keywords.has("STARTTLS"),
    xverp: keywords.has("XVERP"),
  };
  if (!keywords.has("SIZE")) return extensions;
  return {
    ...extensions,
    maxOctets: size === undefined || Number(size) === 0 ? Number.POSITIVE_INFINITY : Number(size),
  };
}

const keyword = (line: string): string => (line.split(" ", 1)[0] ?? "").toUpperCase();
