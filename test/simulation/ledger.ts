import type { ChannelName } from "../../src/protocol/schedule/scheduler.ts";

/** What a delivering program told the queue of one recipient, at the end of its last attempt. */
export interface Heard {
  /** When, by the steady clock. */
  readonly atMs: number;
  /** K, Z, D, or nonsense. */
  readonly letter: string;
  readonly forwards: readonly string[];
  /** To how many addresses it was sent on. */
  readonly copies: number;
  /** The next server reports itself. */
  readonly takesDsn: boolean;
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
  /** What its sender wants to hear, as the sum on the wire. */
  readonly notify: number;
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
  /** From when it may be tried, and ages. */
  readonly bornMs: number;
  /** Something was asked for it, whatever was asked for its recipients. */
  readonly hasOptions: boolean;
  /** Its delay was reported. */
  warned: boolean;
  /** When the latest attempt began that was put off; results come in any order. */
  deferredMs: number;
  /** Since when (steady) who asked is to be told of its delay. */
  lateSinceMs: number | undefined;
  /** What was put around the body. */
  readonly prefix: string;
  readonly suffix: string;
  readonly recipients: Map<number, Recipient>;
  held: boolean;
  ended: boolean;
}

export const keyOf = (channel: ChannelName, destination: string): string => `${channel} ${destination}`;
