import type { BlockedDestination, ListedMessage } from "../../services/storage/storage.ts";
import type { Core } from "./core.ts";

const actions = ["retry", "hold", "release", "delete"] as const;
export type Action = (typeof actions)[number];
export const isAction = (command: string): command is Action => actions.some((action) => action === command);

type Destination = Pick<BlockedDestination, "channel" | "destination">;

/** What the operator does to messages, whole messages at a time. Resolves when it is on disk. */
export class Actions {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  async apply(action: Action, messages: readonly ListedMessage[]): Promise<void> {
    // What was claimed before it was held must not be released while it is on its way: it would be claimed twice.
    if (action === "release") await this.#core.claimsEnd();
    // What is on disk already and not in memory yet comes there first: it would be delivered after it was held or deleted.
    if (action === "hold" || action === "delete") await this.#core.committer.flushed();
    for (const message of messages) {
      if (action === "retry") this.#retry(message);
      else if (action === "hold") this.#hold(message);
      else if (action === "release") this.#release(message);
      else this.#delete(message);
    }
    await this.#core.committer.flushed();
  }

  /** Destinations that were left alone are tried again. Resolves when that is on disk. */
  async open(destinations: readonly Destination[]): Promise<void> {
    for (const { channel, destination } of destinations) {
      const event = { kind: "open", channel, destination } as const;
      const nowMs = this.#core.clock.wallMs();
      this.#core.step(event);
      this.#core.committer.require([{ ...event, nowMs }], () => this.#core.waits(channel, nowMs));
    }
    await this.#core.committer.flushed();
  }

  /** Due now; destinations known to be out of reach are tried as well. A held message stays held, and who asked for a later delivery gets it. */
  #retry({ id, recipients }: ListedMessage): void {
    const nowMs = this.#core.clock.wallMs();
    const open = recipients.map(({ channel, destination }) => ({ kind: "open", channel, destination }) as const);
    for (const event of open) this.#core.step(event);
    const opened = open.map((event) => ({ ...event, nowMs }));
    this.#core.committer.require([{ kind: "retry", message: id, nowMs }, ...opened], () => {
      for (const { channel } of recipients) this.#core.waits(channel, nowMs);
    });
  }

  /** Deliveries under way end as they end; nothing of it starts until it is released. */
  #hold({ id }: ListedMessage): void {
    const keep = (): void => {
      this.#core.active.touch(id);
      this.#core.dropWaiting(id);
      const active = this.#core.active.get(id);
      if (active) active.held = true;
    };
    keep();
    this.#core.committer.require([{ kind: "hold", message: id }], keep); // again: it may have been claimed meanwhile
  }

  #release({ id, recipients }: ListedMessage): void {
    const active = this.#core.active.get(id);
    if (active) active.held = false;
    const claimed = [...(active?.entries.keys() ?? [])];
    this.#core.committer.require([{ kind: "release", message: id, claimed }], () => {
      this.#core.active.touch(id);
      for (const { channel } of recipients) this.#core.waits(channel, this.#core.clock.wallMs());
    });
  }

  /** Without a bounce. While it is being delivered it is held, and gone when that has ended. */
  #delete({ id }: ListedMessage): void {
    this.#core.dropWaiting(id);
    const active = this.#core.active.get(id);
    if (active?.remaining === 0) return; // it is ending at this moment
    if (active && active.entries.size > 0) {
      active.deleted = true;
      this.#core.require(active, [{ kind: "hold", message: id }]);
      return;
    }
    // A copy that it made meanwhile would share a body that is gone.
    if (active) active.deleted = true;
    this.#core.active.bar(id);
    this.#core.committer.require([{ kind: "end", message: id }], () => {
      this.#core.active.unbar(id);
      this.#core.log({ event: "end", message: id });
    });
  }
}
