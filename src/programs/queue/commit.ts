import type { Failure, Outcome } from "../../protocol/outcome.ts";
import type { Channel } from "../../services/channel/channel.ts";
import type { Change, Storage } from "../../services/storage/storage.ts";
import { type Clock, pause } from "./clock.ts";

/** Says that it is written. All of a transaction are said first, and leave on the channels that are returned. */
export type Answer = () => Pick<Channel, "flush">;

/** Changes that go to disk together or not at all, and who waits for that. */
interface Group {
  readonly changes: readonly Change[];
  /** Absent for what must be written, sooner or later. */
  readonly refused: ((failure: Failure) => void) | undefined;
  readonly answer?: Answer | undefined;
  readonly written: () => void;
}

const retryMs = 1_000;
/** What need not be written at once waits so long for company: what must be, or so many of its own kind. */
export const patienceMs = 10;
const patientGroups = 100;

/** What the store takes: everything, all but new mail, nothing. */
export type Trouble = "none" | "refusing" | "stuck";

/**
 * Group commit: everything that was handed over in one turn of the loop becomes one transaction, and one flush. Who
 * handed it over learns the result only then.
 */
export class Committer {
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #trouble: (trouble: Trouble, failure: Failure | undefined) => void;
  #groups: Group[] = [];
  #idle: (() => void)[] = [];
  #running = false;
  /** Something that was handed over is not to wait for company. */
  #isUrgent = false;
  /** Calls off the end of that wait, while there is one. */
  #hurry: (() => void) | undefined;
  #now: Trouble = "none";

  /** `trouble` is told of each change; a failure when it begins. */
  constructor(storage: Storage, clock: Clock, trouble: (trouble: Trouble, failure: Failure | undefined) => void) {
    this.#storage = storage;
    this.#clock = clock;
    this.#trouble = trouble;
  }

  /** Groups that wait for the transaction under way. */
  get waiting(): number {
    return this.#groups.length;
  }

  /** Tries once: a new message, which can be refused. */
  offer(changes: readonly Change[], settled: (outcome: Outcome<undefined>) => void, answer?: Answer): void {
    const written = () => settled({ kind: "done", value: undefined });
    this.#add({ changes, written, refused: settled, answer });
  }

  /** Tries until it is written: what has already happened. In order, as `offer` is. */
  require(changes: readonly Change[], written: () => void = () => {}): void {
    this.#add({ changes, written, refused: undefined });
  }

  /** As `require`, for what nobody waits for, and what is not done twice when it is lost in a crash. */
  requireSoon(changes: readonly Change[], written: () => void): void {
    this.#groups.push({ changes, written, refused: undefined });
    if (!this.#running) this.#waitForCompany();
  }

  /** Resolves when all that was handed over so far has its result. */
  flushed(): Promise<void> {
    if (!this.#running && this.#groups.length === 0) return Promise.resolve();
    this.#begin();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #add(group: Group): void {
    this.#groups.push(group);
    this.#begin();
  }

  #waitForCompany(): void {
    if (this.#groups.length >= patientGroups) this.#begin();
    else this.#hurry ??= this.#clock.after(patienceMs, () => this.#begin());
  }

  #begin(): void {
    this.#isUrgent = true;
    if (this.#running) return;
    this.#hurry?.();
    this.#hurry = undefined;
    this.#running = true;
    this.#clock.soon(() => this.#run());
  }

  async #run(): Promise<void> {
    while (this.#isUrgent) {
      this.#isUrgent = false;
      const groups = this.#groups;
      const idle = this.#idle;
      this.#groups = [];
      this.#idle = [];
      if (groups.length > 0) await this.#write(groups);
      for (const resolve of idle) resolve();
    }
    this.#running = false;
    if (this.#groups.length > 0) this.#waitForCompany();
  }

  async #write(groups: readonly Group[]): Promise<void> {
    const refusable = groups.some(({ refused }) => refused);
    const outcome = await this.#apply(groups, refusable);
    if (outcome.kind !== "done") await this.#refuse(groups, outcome);
  }

  /**
   * New mail is refused, which may be all it takes to write down the rest: ending messages needs hardly any room. Where
   * that is not known, and nothing else is to be written, the time is: nothing would find out else that all is well.
   */
  async #refuse(groups: readonly Group[], failure: Failure): Promise<void> {
    const required = refuseOffers(groups, failure);
    if (required.length === 0 && this.#now === "stuck") required.push(this.#trial());
    if (required.length === 0) return;
    for (;;) {
      const outcome = await this.#apply(required, false);
      if (outcome.kind === "done") break;
      this.#groups = refuseOffers(this.#groups, outcome); // who came meanwhile: nobody knows how long this lasts
      await pause(this.#clock, retryMs);
    }
  }

  /** Whoever waits for it hears of a success before everybody hears that all is well: what is held now must not start then. */
  async #apply(groups: readonly Group[], refusable: boolean): Promise<Outcome<undefined>> {
    const changes = groups.flatMap((group) => group.changes);
    const outcome = await this.#storage.apply(changes, refusable);
    const { isShort } = this.#storage;
    if (outcome.kind !== "done") {
      this.#tell(refusable && isShort ? "refusing" : "stuck", outcome);
      return outcome;
    }
    sendAnswers(groups);
    for (const group of groups) group.written();
    this.#tell(refusable || !isShort || this.#now === "none" ? "none" : "refusing");
    return outcome;
  }

  #trial(): Group {
    return { changes: [{ kind: "clock", nowMs: this.#clock.wallMs() }], refused: undefined, written: () => {} };
  }

  #tell(trouble: Trouble, failure?: Failure): void {
    if (trouble === this.#now) return;
    const first = this.#now === "none";
    this.#now = trouble;
    this.#trouble(trouble, first ? failure : undefined);
  }
}

function sendAnswers(groups: readonly Group[]): void {
  const channels = new Set<ReturnType<Answer>>();
  for (const { answer } of groups) if (answer) channels.add(answer());
  for (const channel of channels) channel.flush();
}

/** Returns the groups that cannot be refused. */
function refuseOffers(groups: readonly Group[], failure: Failure): Group[] {
  for (const group of groups) group.refused?.(failure);
  return groups.filter(({ refused }) => !refused);
}
