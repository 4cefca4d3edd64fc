import type { Socket } from "node:net";
import { createStreams, type Forget } from "../channel/streams.ts";
import { type Client, MessageStream, type Submission, type SubmissionEvents } from "./message-stream.ts";

/** Where messages go in. It may be gone for a while. */
export interface WayIn {
  readonly isUp: boolean;
  /** Opens a stream. Only while the way is there. */
  submit(events: SubmissionEvents): Submission;
  /** Calls once, when it is there again. */
  whenUp(call: () => void): Forget;
}

/** The way to `queue`, or to `hook`, which is told about the client. */
export interface QueueLink extends WayIn {
  /** A fresh connection; what was under way on the old one is refused, temporarily. */
  attach(socket: Socket): void;
  submit(events: SubmissionEvents, client?: Client): Submission;
}

/** The way through `hook` for the messages of one client. */
export const wayOf = (hook: QueueLink, client: Client): WayIn => ({
  get isUp() {
    return hook.isUp;
  },
  submit: (events) => hook.submit(events, client),
  whenUp: hook.whenUp,
});

export function createQueueLink(): QueueLink {
  const streams = createStreams();
  return {
    get isUp() {
      return streams.isUp;
    },
    attach: streams.attach,
    submit(events, client) {
      if (!streams.isUp) throw new Error("a submission while the queue is away");
      return new MessageStream(streams, events, client);
    },
    whenUp: streams.whenUp,
  };
}
