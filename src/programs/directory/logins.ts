import { randomBytes } from "node:crypto";
import type { Event } from "../../protocol/event/event.ts";
import { beginExchange, type Mechanism, mechanismOf, needsSecret } from "../../protocol/sasl/mechanisms.ts";
import { failed, type Start, type Step } from "../../protocol/sasl/step.ts";
import type { LoginEnd } from "../../protocol/wire/directory.ts";
import { isDamage, isPassing } from "../../services/storage/sqlite-errors.ts";
import type { Guesses } from "./guesses.ts";
import type { Passwords } from "./passwords.ts";

/** A login as it is asked for: fields as in the frame `saslBegin`. */
export interface LoginRequest extends Pick<Start, "initial" | "binding"> {
  readonly service: string;
  readonly mechanism: string;
  readonly address: string;
}

export interface LoginEvents {
  readonly onChallenge: (octets: Buffer) => void;
  /** Once, unless it was cancelled before. */
  readonly onEnd: (end: LoginEnd) => void;
}

export interface Login {
  /** The answer to a challenge; "broken" when there is none. Keeps `octets`. */
  respond(octets: Buffer): undefined | "broken";
  cancel(): void;
}

export interface LoginsOptions {
  /** Absent while the accounts cannot be read. */
  readonly passwords: () => Passwords | undefined;
  readonly guesses: Guesses;
  readonly host: () => string;
  /** Passwords are kept so that they can be read, for CRAM-MD5 and APOP. */
  readonly keepsPasswords: () => boolean;
  /** Has `local` open this mailbox to who shows the ticket. */
  readonly grant: (ticket: Buffer, account: string) => Promise<void>;
  /** From this address mail is read. */
  readonly reads: (address: string) => void;
  /** It was used, the account's own password ("") or one for an app. */
  readonly note: (account: string, appPassword: string) => void;
  readonly log: (event: Event) => void;
  /** Resolves after so long. */
  readonly wait: (ms: number) => Promise<unknown>;
}

export interface Logins {
  begin(request: LoginRequest, events: LoginEvents): Login;
}

/** Tries under way at once, answers that are held back among them: of all, and of one client. */
const maxTries = 5_000;
const maxTriesOfOne = 10;
const ticketOctets = 32;
/** A process waits for the answer that `authd` gives, and its server slows its clients down itself: no longer than this. */
const longestOthersMs = 1_000;
const nothing = Buffer.alloc(0);

/** One text for all: a client does not learn which of them it was. */
const refusedText = "authentication failed";
const laterText = "authentication is not possible at the moment, try again later";
const tooManyText = "too many failed logins, try again later";

/** Carries out logins: mechanisms say what is to be looked up, guessers are slowed down and shut out. */
export function createLogins(options: LoginsOptions): Logins {
  const tries = createCounts(maxTries, maxTriesOfOne);
  return {
    begin(request, events) {
      const login = new RunningLogin(request, events, options, tries);
      login.begin();
      return login;
    },
  };
}

interface Counts {
  /** One more under that key; `undefined` when there are too many, else the function that ends it. */
  begin(key: string): (() => void) | undefined;
}

function createCounts(most: number, mostOfOne: number): Counts {
  const counts = new Map<string, number>();
  let sum = 0;
  return {
    begin(key) {
      const count = counts.get(key) ?? 0;
      if (sum >= most || count >= mostOfOne) return undefined;
      sum++;
      counts.set(key, count + 1);
      return () => {
        sum--;
        const left = (counts.get(key) ?? 1) - 1;
        if (left > 0) counts.set(key, left);
        else counts.delete(key);
      };
    },
  };
}

class RunningLogin implements Login {
  readonly #request: LoginRequest;
  readonly #events: LoginEvents;
  readonly #options: LoginsOptions;
  readonly #tries: Counts;
  readonly #mechanism: Mechanism | undefined;
  #next: ((response: Buffer) => Step) | undefined;
  #isOver = false;

  constructor(request: LoginRequest, events: LoginEvents, options: LoginsOptions, tries: Counts) {
    this.#request = request;
    this.#events = events;
    this.#options = options;
    this.#tries = tries;
    const known = mechanismOf(request.mechanism);
    this.#mechanism = known && needsSecret(known) && !options.keepsPasswords() ? undefined : known;
  }

  begin(): void {
    const { initial, binding } = this.#request;
    const nonce = randomBytes(18).toString("base64url");
    const start = { initial, binding, nonce, host: this.#options.host() };
    const mechanism = this.#mechanism;
    this.#take(mechanism ? beginExchange(mechanism, start) : failed("", "no such mechanism"));
  }

  respond(octets: Buffer): undefined | "broken" {
    const next = this.#next;
    if (!next) return "broken";
    this.#next = undefined;
    this.#take(next(octets));
    return undefined;
  }

  cancel(): void {
    this.#isOver = true;
  }

  #end(fields: Partial<LoginEnd> & Pick<LoginEnd, "letter">): void {
    if (!this.#isOver) this.#events.onEnd({ account: "", text: "", additional: nothing, ticket: nothing, ...fields });
    this.#isOver = true;
  }

  #take(step: Step): void {
    const passwords = this.#options.passwords();
    if (!passwords) this.#end({ letter: "Z", text: laterText });
    else if (step.kind === "challenge") this.#challenge(step);
    else void this.#try(step, passwords);
  }

  #challenge({ octets, next }: Extract<Step, { readonly kind: "challenge" }>): void {
    this.#next = next;
    if (!this.#isOver) this.#events.onChallenge(octets);
  }

  /** All that is looked at counts from here on: the account is known. */
  async #try(step: Exclude<Step, { readonly kind: "challenge" }>, passwords: Passwords): Promise<void> {
    const { guesses } = this.#options;
    const { address } = this.#request;
    const { account } = step;
    const askedMs = performance.now();
    const ended = this.#tries.begin(guesses.who(address, account));
    const refusal = ended ? guesses.refusal(address, account) : "too many tries at once";
    if (!ended || refusal !== undefined) {
      ended?.();
      this.#logFailure(account, refusal ?? "");
      this.#end({ letter: "Z", text: tooManyText });
      return;
    }
    try {
      const delayMs = await this.#look(step, passwords);
      // From the question on: the work does not show.
      if (delayMs !== undefined) await this.#options.wait(Math.max(0, askedMs + delayMs - performance.now()));
      if (delayMs !== undefined) this.#end({ letter: "D", text: refusedText });
    } catch (error) {
      if (!isPassing(error) && !isDamage(error)) throw error;
      this.#options.log({ event: "alert", text: `cannot read the accounts: ${String(error)}` });
      this.#end({ letter: "Z", text: laterText });
    } finally {
      ended();
    }
  }

  /** How long the refusal is to be held back; `undefined` when it is none. */
  async #look(first: Step, passwords: Passwords): Promise<number | undefined> {
    const { service } = this.#request;
    let step = first;
    if (step.kind === "keys") step = step.next(passwords.keysOf(step.account));
    if (step.kind === "secret") step = step.next(passwords.secretOf(step.account));
    if (step.kind === "proved" && !passwords.isEnabled(step.account)) step = failed(step.account, "disabled");
    switch (step.kind) {
      case "challenge":
        this.#challenge(step);
        return undefined;
      case "proved":
        await this.#accept(step.account, step.additional);
        return undefined;
      case "password": {
        const verdict = await passwords.check(step.account, step.password, service);
        if (verdict.kind === "wrong") return this.#refuse(step.account, verdict.why);
        if (verdict.kind === "cannot tell") this.#end({ letter: "Z", text: laterText });
        else await this.#accept(step.account, nothing, verdict.appPassword);
        return undefined;
      }
      case "failed":
        return this.#refuse(step.account, step.why);
      default:
        throw new Error(`${step.kind} does not follow ${first.kind}`);
    }
  }

  #refuse(account: string, why: string): number {
    this.#logFailure(account, why);
    const { address, service } = this.#request;
    const delayMs = this.#options.guesses.failed(address, account);
    return service === "imap" ? Math.min(delayMs, longestOthersMs) : delayMs;
  }

  #logFailure(account: string, why: string): void {
    const { service, mechanism, address } = this.#request;
    this.#options.log({ event: "login failure", service, mechanism, account, address, why });
  }

  async #accept(account: string, additional: Buffer, appPassword = ""): Promise<void> {
    const { service, mechanism, address } = this.#request;
    this.#options.guesses.succeeded(address, account);
    this.#options.note(account, appPassword);
    this.#options.log({ event: "login", service, mechanism, account, address, appPassword });
    if (this.#isOver) return;
    if (service === "pop3") this.#options.reads(address);
    const ticket = service === "pop3" ? randomBytes(ticketOctets) : nothing;
    if (service === "pop3") await this.#options.grant(ticket, account);
    this.#end({ letter: "K", account, additional, ticket });
  }
}
