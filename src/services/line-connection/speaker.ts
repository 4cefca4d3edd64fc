import type { Event } from "../../protocol/event/event.ts";
import type { Contexts } from "../tls/contexts.ts";

/** What all connections of a program share. */
export interface LineSurroundings {
  /** Seconds since the start, counted by a timer; never goes back. */
  readonly seconds: number;
  /** The certificates as they are now; `undefined` without any. */
  readonly tls: Contexts | undefined;
  /** Told of octets read that wait, so that nobody can free them. */
  readonly reclaim: (octets: number) => void;
  log(event: Event): void;
}

/** Fixed while the connection lasts. */
export interface LineTerms {
  readonly number: number;
  readonly address: string;
  /** TLS comes first, before the greeting (RFC 8314 §3). */
  readonly startsWithTls: boolean;
}

/** Who speaks with the client. */
export interface Speaker {
  /** Brought or fetched so far, for the log. */
  readonly messages: number;
  /** The client waits for the greeting. */
  onOpen(): void;
  /** From here on the client speaks TLS. */
  onSecure(): void;
  /** Something was done, and its replies are about to leave. */
  onTurn?(): void;
  /** Once, with the last word: what is under way can be let go. */
  onOver?(): void;
  /** Once, when the connection is gone, however it ended. */
  onGone(): void;
}

/** What is being done with a client: one thing at a time. */
export interface Phase {
  /**
   * What comes from the client is for it "now"; or something else comes first, "soon", so that it is not worth two system
   * calls to stop reading; or "later".
   */
  readonly reads: "now" | "soon" | "later";
  /** Takes some of what came; false when more must come first. */
  read(): boolean;
  /** It has taken as long as it may. */
  onLate(): void;
  /** What was written, and not read at once, has been read. */
  onRoom?(): void;
  /** Another one follows, or the end of the connection. */
  onLeft?(): void;
}

/** Nothing is read until an answer comes. */
export const waiting = (onLate: () => void, onLeft: () => void = () => {}): Phase => ({
  reads: "soon",
  read: () => false,
  onLate,
  onLeft,
});
