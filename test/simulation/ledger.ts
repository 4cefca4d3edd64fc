import type { ChannelName } from "../../src/protocol/schedule/scheduler.ts";

/** What a delivering program told the queue of one recipient, at the end of its last attempt. */
export interface Heard {
  /** When, by the steady clock. */
  readonly atMs: number;
  /** K, Z, D, or nonsense. */
  readonly letter: string;
  readonly forwards: readonly string[];
  readonly startedMs: number;
  /** The message was over its lifetime when this attempt started. */
  readonly late: boolean;
}

/** One recipient of one message, as the world outside knows it. */
export interface Recipient {
  readonly message: Message;
  readonly number: number;
  readonly forwardPath: string;
  readonly channel: ChannelName;
  readonly destination: string;
  state: "queued" | "delivered" | "failed" | "deleted";
  attempts: number;
  /** Not to be tried before, by the wall clock. */
  notBeforeMs: number;
  /** Taken from disk to be tried. */
  isDue: boolean;
  running: boolean;
  heard: Heard | undefined;
  /** The last attempt, when it broke off: after several the queue counts it as deferred. */
  lastBroken: Heard | undefined;
  /** When its last delivery ended, by the steady clock: until then nobody could try it again. */
  endedMs: number;
  /** Copies that became visible in a mailbox, or that a remote peer said yes to. */
  copies: number;
  /** Attempts of which the queue never learnt the end. */
  lost: number;
}

export interface Message {
  readonly id: number;
  readonly reversePath: string;
  readonly arrivedMs: number;
  /** What was put around the body. */
  readonly prefix: string;
  readonly suffix: string;
  readonly recipients: Map<number, Recipient>;
  held: boolean;
  ended: boolean;
}

export const keyOf = (channel: ChannelName, destination: string): string => `${channel} ${destination}`;
