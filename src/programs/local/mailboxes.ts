import type { ChildProcess } from "node:child_process";
import { Socket } from "node:net";
import type { Event } from "../../protocol/event/event.ts";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import type { Frame } from "../../protocol/wire/frame.ts";
import { createChannel } from "../../services/channel/channel.ts";
import type { LaunchPlan } from "../../services/launch/plan.ts";
import type { Mailbox } from "./mailbox.ts";

/** The `pop3session` of one mailbox, on which several sessions may be open. Believed in nothing. */
export interface MailboxProcess {
  open(events: SessionEvents): number;
  send(frame: Buffer): void;
  /** Nothing more is expected on this stream. */
  forget(stream: number): void;
}

export interface SessionEvents {
  onFrame(frame: Frame): undefined | "broken";
  onLost(): void;
}

/** The `pop3session` processes: one for each mailbox that is open, kept warm for a while. */
export interface Mailboxes {
  /** The process for a mailbox, started if there is none. Fails for now when all places are taken. */
  take(mailbox: Mailbox): Outcome<MailboxProcess>;
  /** Ends all of them. */
  close(): void;
}

export interface MailboxesOptions {
  readonly embedded: boolean;
  readonly plan: LaunchPlan;
  readonly start: (plan: LaunchPlan, folder: string) => ChildProcess;
  readonly log: (event: Event) => void;
}

/** Processes at once. One takes some 50 MB of memory, most of it shared with all other programs. */
export const maxMailboxes = 100;
const maxSessionsOfOne = 20;
const idleMs = 60_000;
const lookForIdleMs = 10_000;
/** A process that is told more and more and does not read it is found out here. */
const maxUnreadOctets = 1_048_576;
/** The descriptor of the connection in the process. */
const processFd = 3;

interface Place extends MailboxProcess {
  readonly sessions: ReadonlyMap<number, SessionEvents>;
  readonly lastUsedMs: number;
  close(): void;
}

export function createMailboxes(options: MailboxesOptions): Mailboxes {
  const places = new Map<string, Place>();

  const timer = setInterval(() => {
    const beforeMs = performance.now() - idleMs;
    for (const place of places.values()) {
      if (place.sessions.size === 0 && place.lastUsedMs < beforeMs) place.close();
    }
  }, lookForIdleMs).unref();

  const makeRoom = (): boolean => {
    if (places.size < maxMailboxes) return true;
    const idle = [...places.values()].filter(({ sessions }) => sessions.size === 0);
    idle.sort((one, other) => one.lastUsedMs - other.lastUsedMs);
    idle[0]?.close();
    return places.size < maxMailboxes;
  };

  const start = (key: string, { uid, gid, folder }: Mailbox): Place => {
    const wall = {
      ...options.plan.wall,
      ...(options.embedded ? {} : { user: { uid, gid } }),
      write: folder === "" ? [] : [folder],
    };
    const child = options.start({ ...options.plan, wall }, folder);
    const place = createPlace(child, (why) => {
      places.delete(key);
      if (why !== "closed") options.log({ event: "warning", text: `pop3session for ${key} ended: ${why}` });
    });
    places.set(key, place);
    return place;
  };

  return {
    take(mailbox) {
      const key = `${mailbox.uid}:${mailbox.gid}:${mailbox.inode}:${mailbox.folder}`;
      const current = places.get(key);
      if (current) return current.sessions.size < maxSessionsOfOne ? done(current) : tooManySessions;
      return makeRoom() ? done(start(key, mailbox)) : tooManyMailboxes;
    },
    close() {
      clearInterval(timer);
      for (const place of places.values()) place.close();
    },
  };
}

const tooManySessions = temporary("3.2", "too many sessions of this mailbox at once, try later");
const tooManyMailboxes = temporary("3.2", "too many mailboxes are open, try later");

function createPlace(child: ChildProcess, whenClosed: (why: string) => void): Place {
  const sessions = new Map<number, SessionEvents>();
  let last = 0;
  let lastUsedMs = performance.now();
  const pipe = child.stdio[processFd];
  const channel = createChannel(pipe instanceof Socket ? pipe : new Socket(), {
    onFrame: (frame) => sessions.get(frame.stream)?.onFrame(frame),
    onClose(why) {
      child.kill(why === "closed" ? "SIGTERM" : "SIGKILL");
      const lost = [...sessions.values()];
      sessions.clear();
      whenClosed(why);
      for (const events of lost) events.onLost();
    },
  });
  child.on("error", () => channel.close());
  return {
    sessions,
    get lastUsedMs() {
      return lastUsedMs;
    },
    open(events) {
      do last = (last + 1) >>> 0;
      while (sessions.has(last));
      sessions.set(last, events);
      lastUsedMs = performance.now();
      return last;
    },
    send(frame) {
      if (channel.pendingOctets > maxUnreadOctets) channel.close();
      else channel.send(frame);
    },
    forget(stream) {
      sessions.delete(stream);
      lastUsedMs = performance.now();
    },
    close: () => channel.close(),
  };
}
