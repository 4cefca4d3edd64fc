import { asciiLowerCase } from "../../protocol/address.ts";
import { done, type Failure, type Outcome } from "../../protocol/outcome.ts";
import type { ListedMessage, ListedRecipient } from "../../services/storage/storage.ts";
import { type Actions, isAction } from "./actions.ts";
import type { Core } from "./core.ts";
import { type Filter, type OperatorRequest, parseRequest } from "./request.ts";

/** Rows read and answered in one turn of the loop. */
const pageRows = 500;
/** Recipients in a row of `list`; `show` gives so many at a time, all in the end. */
const listedRecipients = 5;
const shownRecipients = 1_000_000;
const maxDestinations = 100_000;

interface Page {
  readonly messages: readonly ListedMessage[];
  /** Where the next one begins; absent at the end. */
  readonly last: number | undefined;
}

/** Where an answer goes: lines, waiting while the reader does not keep up. */
export type Answer = (lines: readonly unknown[]) => Promise<void>;

/** Answers the operator's requests, page by page, so that mail flows in between. */
export class Operator {
  readonly #core: Core;
  readonly #actions: Actions;

  constructor(core: Core, actions: Actions) {
    this.#core = core;
    this.#actions = actions;
  }

  /** Answers one request line completely. */
  async serve(line: string, uid: number, answer: Answer): Promise<void> {
    const request = parseRequest(line);
    const result = request.kind === "done" ? await this.#do(request.value, uid, answer) : request;
    await answer([result.kind === "done" ? { end: { count: result.value } } : { error: result.text }]);
  }

  async #do(request: OperatorRequest, uid: number, answer: Answer): Promise<Outcome<number>> {
    const { command } = request;
    if (command === "count") return this.#count(answer);
    if (command === "blocked" || command === "open") return this.#blocked(request, uid, answer);
    let count = 0;
    let after = 0;
    for (;;) {
      const page = await this.#page(request.filter, after);
      if (page.kind !== "done") return page;
      if (page.value.last === undefined) break;
      after = page.value.last;
      const matching = await this.#matching(page.value.messages, request);
      if (matching.kind !== "done") return matching;
      const chosen = matching.value.slice(0, request.limit - count);
      const failure = await this.#act(command, chosen, answer);
      if (failure) return failure;
      count += chosen.length;
      if (count >= request.limit) break;
      await new Promise((resolve) => this.#core.clock.soon(() => resolve(undefined)));
    }
    if (command !== "list" && command !== "show") this.#core.log({ event: "operator", action: command, count, uid });
    return done(count);
  }

  async #act(
    command: OperatorRequest["command"],
    messages: readonly ListedMessage[],
    answer: Answer,
  ): Promise<Failure | undefined> {
    if (command === "list") await answer(messages.map((message) => this.#row(message)));
    else if (command === "show") return this.#show(messages, answer);
    else if (isAction(command)) await this.#actions.apply(command, messages);
    return undefined;
  }

  async #count(answer: Answer): Promise<Outcome<number>> {
    const counts = await this.#core.storage.counts();
    if (counts.kind !== "done") return counts;
    const inFlight = this.#core.scheduler.running("local") + this.#core.scheduler.running("remote");
    await answer([{ row: { ...counts.value, inFlight } }]);
    return done(1);
  }

  /** Shows the destinations that are left alone, or has them tried again. */
  async #blocked({ command, filter, limit }: OperatorRequest, uid: number, answer: Answer): Promise<Outcome<number>> {
    const found = await this.#core.storage.blocked(this.#core.clock.wallMs(), maxDestinations);
    if (found.kind !== "done") return found;
    const wanted = filter.destination;
    const chosen = found.value
      .filter(({ destination }) => wanted === undefined || asciiLowerCase(destination) === wanted)
      .slice(0, limit);
    if (command === "blocked") await answer(chosen.map((row) => ({ row })));
    else {
      await this.#actions.open(chosen);
      this.#core.log({ event: "operator", action: command, count: chosen.length, uid });
    }
    return done(chosen.length);
  }

  /** The next messages that may match: those asked for by id, those the store finds, or whatever comes next. */
  async #page(filter: Filter, after: number): Promise<Outcome<Page>> {
    const { ids, olderThanS, ...rest } = filter;
    if (ids) {
      const wanted = [...new Set(ids)].sort((a, b) => a - b).filter((id) => id > after);
      return this.#these(wanted.slice(0, pageRows), wanted[pageRows - 1] ?? wanted.at(-1));
    }
    if (Object.values(filter).some((each) => each !== undefined)) {
      const arrivedByMs = olderThanS === undefined ? undefined : this.#core.clock.wallMs() - olderThanS * 1_000;
      const found = await this.#core.storage.search(after, { ...rest, arrivedByMs });
      return found.kind === "done" ? this.#these(found.value.ids, found.value.last) : found;
    }
    const listed = await this.#core.storage.list(after, pageRows, listedRecipients);
    return listed.kind === "done" ? done({ messages: listed.value, last: listed.value.at(-1)?.id }) : listed;
  }

  /** Those of them that are still there. */
  async #these(ids: readonly number[], last: number | undefined): Promise<Outcome<Page>> {
    const messages: ListedMessage[] = [];
    for (const id of ids) {
      const found = await this.#core.storage.list(id - 1, 1, listedRecipients);
      if (found.kind !== "done") return found;
      const [message] = found.value;
      if (message?.id === id) messages.push(message);
    }
    return done({ messages, last });
  }

  async #matching(page: readonly ListedMessage[], { filter }: OperatorRequest): Promise<Outcome<ListedMessage[]>> {
    const { sender, recipient, destination, olderThanS } = filter;
    const latestMs = this.#core.clock.wallMs() - (olderThanS ?? 0) * 1_000;
    const matching: ListedMessage[] = [];
    for (const message of page) {
      if (olderThanS !== undefined && message.arrivedMs > latestMs) continue;
      if (sender !== undefined && !matches(message.reversePath, sender)) continue;
      if (recipient !== undefined || destination !== undefined) {
        const all = await this.#recipients(message);
        if (all.kind !== "done") return all;
        if (!all.value.some((each) => fits(each, recipient, destination))) continue;
      }
      matching.push(message);
    }
    return done(matching);
  }

  async #recipients(message: ListedMessage): Promise<Outcome<readonly ListedRecipient[]>> {
    if (message.recipients.length >= message.recipientCount) return done(message.recipients);
    return this.#core.storage.recipients(message.id, -1, shownRecipients);
  }

  async #show(messages: readonly ListedMessage[], answer: Answer): Promise<Failure | undefined> {
    for (const message of messages) {
      const recipients = await this.#recipients(message);
      if (recipients.kind !== "done") return recipients;
      await answer([this.#row({ ...message, recipients: recipients.value })]);
    }
    return undefined;
  }

  #row({ recipients, ...message }: ListedMessage): unknown {
    const active = this.#core.active.get(message.id);
    const rows = recipients.map((recipient) => {
      const entry = active?.entries.get(recipient.number);
      const idle = message.held ? "held" : entry ? "scheduled" : "waiting";
      return Object.assign({}, recipient, { state: entry?.running ? "delivering" : idle });
    });
    return { row: { ...message, recipients: rows } };
  }
}

/** A whole address, or `@domain`; letters count alike in both cases. */
function matches(address: string, wanted: string): boolean {
  const folded = asciiLowerCase(address);
  return wanted.startsWith("@") && wanted.indexOf("@", 1) < 0 ? folded.endsWith(wanted) : folded === wanted;
}

const fits = ({ forwardPath, destination }: ListedRecipient, recipient?: string, wanted?: string): boolean =>
  (recipient === undefined || matches(forwardPath, recipient)) &&
  (wanted === undefined || asciiLowerCase(destination) === wanted || matches(forwardPath, `@${wanted}`));
