import { acceptedBy, deferred, diedOn, type Fate, refusedBy } from "./client-fate.ts";
import { composeEnvelope, type Envelope } from "./envelope.ts";
import { type Limits, noExtensions, readExtensions } from "./extensions.ts";
import { type Login, loginSteps } from "./login.ts";
import { quoteReply, type Reply } from "./reply.ts";
import type { Transaction } from "./transaction.ts";

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
  /** Send `opening`, then the body, as lines and with a final dot or as it is; call `onDotSent` as its end goes out. */
  | { readonly kind: "body"; readonly encoding: "lines" | "octets"; readonly opening: string }
  /** One fate for each forward-path. `untouched`: the peer died before it took the MAIL: another connection may try. */
  | {
      readonly kind: "finished";
      readonly fates: readonly Fate[];
      readonly reusable: boolean;
      readonly untouched: boolean;
    }
  /** TLS was begun and came to nothing, or was to be and is not offered: another connection, in clear, may do. */
  | { readonly kind: "no TLS"; readonly why: string; readonly isOffered: boolean }
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
  /** The whole body goes as one chunk of so many octets (RFC 3030 §2); undefined: it goes by DATA. */
  readonly chunkOctets: number | undefined;
  answered: number;
  rejected: number;
  mailTaken: boolean;
}

type State =
  | { readonly at: "greeting" | "EHLO" | "HELO" | "STARTTLS" | "TLS" | "ready" | "over" }
  | { readonly at: "AUTH"; readonly left: readonly string[] }
  | { readonly at: "commands" | "body" | "end of data" | "end of nothing"; readonly progress: Progress };

/** How one connection is to be used. */
export interface ClientOptions {
  /** Its address, for the texts. */
  readonly peer: string;
  readonly heloHost: string;
  /** "may": STARTTLS where offered (RFC 3207), else in clear; "must": no mail without. */
  readonly tls: "none" | "may" | "must";
  /** LMTP has a reply for each recipient after the body (RFC 2033). */
  readonly protocol: "SMTP" | "LMTP";
  /** Said to the peer before any mail (RFC 4954). */
  readonly login?: Login;
}

const wait: ClientAction = { kind: "wait" };
const send = (text: string): ClientAction => ({ kind: "send", text });
const isSuccess = (reply: Reply) => reply.code < 300;
/** After the end of the data: it closes, or waits for yet more data, and would take our commands for that. */
const endsAll = ({ code }: Reply) => code === 421 || (code >= 300 && code < 400);

/**
 * The client's side of one SMTP connection (RFC 5321 §3, §4), without the connection: replies in, actions
 * out. LMTP (RFC 2033) differs in its greeting and in the replies to a body.
 */
export class SmtpClient {
  readonly #options: ClientOptions;
  readonly #peer: string;
  #isSecured = false;
  #state: State = { at: "greeting" };
  #extensions = noExtensions;
  #needsReset = false;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#peer = options.peer;
  }

  get step(): Step {
    switch (this.#state.at) {
      case "EHLO":
      case "HELO":
        return "hello";
      case "STARTTLS":
      case "TLS":
        return "TLS";
      case "AUTH":
        return "command";
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

  /** The peer sees to what its clients ask for (RFC 3461). */
  get offersDsn(): boolean {
    return this.#extensions.dsn;
  }

  get limits(): Limits {
    return this.#extensions.limits;
  }

  onReply(reply: Reply | "broken"): ClientAction {
    const state = this.#state;
    if (reply === "broken") return this.onUnasked(reply);
    switch (state.at) {
      case "greeting":
        if (reply.code !== 220) return this.#unusable(reply, "greeting failed");
        return this.#hello("EHLO");
      case "EHLO":
        if (isSuccess(reply)) return this.#onExtensions(reply);
        if (reply.code < 500 || this.#options.protocol === "LMTP") return this.#unusable(reply, "my name was rejected");
        return this.#hello("HELO");
      case "HELO":
        return isSuccess(reply) ? this.#afterTls() : this.#unusable(reply, "my name was rejected");
      case "STARTTLS":
        if (reply.code === 421) return this.#unusable(reply, "STARTTLS was rejected");
        if (reply.code === 220) {
          this.#state = { at: "TLS" };
          return { kind: "start TLS" };
        }
        // Granted, but not by the word for it: it may wait for the handshake, and what we say in clear would be that.
        if (reply.code < 400) return this.lost(`answered STARTTLS with ${quoteReply(reply).trimEnd()}`);
        return this.#afterTls(`its answer to STARTTLS was ${quoteReply(reply).trimEnd()}`);
      case "AUTH":
        return this.#onLoginReply(state.left, reply);
      case "commands":
        return this.#onCommandReply(state.progress, reply);
      case "body":
        return this.#onEarlyReply(state.progress, reply);
      case "end of data":
        return this.#onEndReply(state.progress, reply);
      case "end of nothing":
        return this.#finish(state.progress, this.#endFate(reply), !endsAll(reply));
      case "TLS":
      case "ready":
      case "over":
        return this.onUnasked(reply);
      default:
        return state satisfies never;
    }
  }

  /** A reply was there before what it would answer: which of the next ones answers what cannot be known any more. */
  onUnasked(reply: Reply | "broken"): ClientAction {
    if (reply === "broken") return this.lost("the peer does not speak SMTP");
    return this.lost(`a reply came that nothing asked for: ${quoteReply(reply).trimEnd()}`);
  }

  /** The handshake succeeded: what was said in clear does not count. */
  onTls(): ClientAction {
    this.#extensions = noExtensions;
    this.#isSecured = true;
    return this.#hello("EHLO");
  }

  /** Only when ready. */
  begin(transaction: Transaction): ClientAction {
    const envelope = composeEnvelope(transaction, this.#extensions, this.#peer);
    const isRefused = "letter" in envelope;
    const progress: Progress = {
      commands: isRefused ? [] : this.#commands(envelope, transaction.bodyType !== "BINARYMIME"),
      fates: transaction.forwardPaths.map(() => undefined),
      chunkOctets: transaction.bodyType === "BINARYMIME" ? transaction.octets : undefined,
      answered: 0,
      rejected: 0,
      mailTaken: false,
    };
    if (isRefused) return this.#finish(progress, envelope, true);
    const { commands } = progress;
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
    if (state.at === "STARTTLS" || state.at === "TLS") return { kind: "no TLS", why, isOffered: true };
    return { kind: "unusable", fate: diedOn(this.#peer, why, false) };
  }

  #hello(verb: "EHLO" | "HELO"): ClientAction {
    this.#state = { at: verb };
    return send(`${this.#options.protocol === "LMTP" ? "LHLO" : verb} ${this.#options.heloHost}\r\n`);
  }

  #onExtensions(reply: Reply): ClientAction {
    this.#extensions = readExtensions(reply.lines.slice(1));
    if (this.#isSecured || this.#options.tls === "none" || !this.#extensions.startTls) return this.#afterTls();
    this.#state = { at: "STARTTLS" };
    return send("STARTTLS\r\n");
  }

  /** There is TLS now, or there will be none: `refusal` says why, where it is not that none was offered. */
  #afterTls(refusal?: string): ClientAction {
    if (this.#options.tls === "must" && !this.#isSecured) {
      this.#state = { at: "over" };
      return { kind: "no TLS", why: refusal ?? "it does not offer STARTTLS", isOffered: refusal !== undefined };
    }
    const { login } = this.#options;
    if (!login) return this.#ready();
    const [first, ...left] = loginSteps(login, this.#extensions.loginMechanisms);
    if (first === undefined) {
      this.#state = { at: "over" };
      const text = `Connected to ${this.#peer} but it offers no way to log in that I know. (#4.7.8)\n`;
      return { kind: "unusable", fate: deferred("7.8", text) };
    }
    this.#state = { at: "AUTH", left };
    return send(`${first}\r\n`);
  }

  /** A login that fails is a mistake in control/smtplogins, which can be mended: nothing bounces for it. */
  #onLoginReply([next, ...left]: readonly string[], reply: Reply): ClientAction {
    if (reply.code === 235) return this.#ready();
    if (reply.code !== 334 || next === undefined) {
      this.#state = { at: "over" };
      const fate = refusedBy(reply, `Connected to ${this.#peer} but my login was rejected.`);
      return { kind: "unusable", fate: { ...fate, letter: "Z" } };
    }
    this.#state = { at: "AUTH", left };
    return send(`${next}\r\n`);
  }

  #ready(): ClientAction {
    this.#state = { at: "ready" };
    return { kind: "ready" };
  }

  #unusable(reply: Reply, what: string): ClientAction {
    this.#state = { at: "over" };
    return { kind: "unusable", fate: refusedBy(reply, `Connected to ${this.#peer} but ${what}.`) };
  }

  #commands({ mail, recipients }: Envelope, withData: boolean): Command[] {
    return [
      ...(this.#needsReset ? [{ verb: "RSET", text: "RSET\r\n" } as const] : []),
      { verb: "MAIL", text: mail },
      ...recipients.map((text): Command => ({ verb: "RCPT", text })),
      ...(withData ? [{ verb: "DATA", text: "DATA\r\n" } as const] : []),
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
    const isLast = progress.answered === progress.commands.length;
    if (this.#extensions.pipelining && !isLast) return wait;
    if (isDecided(progress)) return this.#finish(progress, this.#disliked(reply), true);
    if (isLast) return this.#body(progress, `BDAT ${progress.chunkOctets} LAST\r\n`);
    return send((progress.commands[progress.answered] as Command).text);
  }

  #onRecipientReply(progress: Progress, reply: Reply): void {
    const after = progress.chunkOctets === undefined ? 1 : 0; // DATA
    const place = progress.fates.length + progress.answered + after - progress.commands.length - 1;
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
    if (!isDecided(progress)) return this.#body(progress, "");
    if (this.#options.protocol === "LMTP") return this.lost("took DATA for nobody");
    // It took the DATA of a transaction without recipients: the shortest way out is an empty message (RFC 2920 §3.1).
    this.#state = { at: "end of nothing", progress };
    return send(".\r\n");
  }

  #body(progress: Progress, opening: string): ClientAction {
    this.#state = { at: "body", progress };
    return { kind: "body", encoding: progress.chunkOctets === undefined ? "lines" : "octets", opening };
  }

  /** LMTP: one for each recipient it took, in their order (RFC 2033 §4.2). */
  #onEndReply(progress: Progress, reply: Reply): ClientAction {
    const fate = this.#endFate(reply);
    if (this.#options.protocol === "SMTP") {
      return this.#finish(progress, fate, !endsAll(reply));
    }
    progress.fates[progress.fates.indexOf(undefined)] = fate;
    if (endsAll(reply)) return this.lost(`Remote host said: ${quoteReply(reply).trimEnd()}`);
    return isDecided(progress) ? this.#finish(progress, fate, true) : wait;
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
    // After a chunk that failed nothing but RSET is sound (RFC 3030 §2).
    if (ended === "end of data" || ended === "end of nothing") this.#needsReset = progress.chunkOctets !== undefined;
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
