import type { Duplex } from "node:stream";
import { type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import type { Frame } from "../../protocol/wire/frame.ts";
import {
  abandon,
  bodyType,
  client,
  commit,
  dsnRecipients,
  open,
  options as optionsFrame,
  recipients,
  refused,
  stored,
  submissionCredit,
  submissionWindowOctets,
} from "../../protocol/wire/submission.ts";
import { type Channel, createChannel } from "../../services/channel/channel.ts";
import { runQueueProgram } from "../../services/queue-program/run.ts";
import { type Budget, Message } from "./message.ts";
import { createTurns, type ProgramLimits, programLimits } from "./programs.ts";
import type { OrderFor } from "./terms.ts";

/** Messages of one peer on their way at once. */
const maxStreams = 4_000;
/** Addresses of all messages on their way. */
const maxAddressOctets = 67_108_864;
/** Answers that a peer does not read. */
const maxUnreadOctets = 16_777_216;

export interface HookOptions {
  /** Where messages lie while they come in. */
  readonly folder: string;
  /** Where programs run. */
  readonly home: string;
  readonly orderFor: OrderFor;
  readonly limits?: ProgramLimits;
}

export interface Hook {
  /** Serves a receiving program. When it is gone, so is what it had not committed. */
  attach(socket: Duplex): void;
  /** For the messages to come. */
  reorder(orderFor: OrderFor): void;
  /** Takes nothing new; resolves when the last program has ended. */
  stop(): Promise<void>;
}

export function createHook(options: HookOptions): Hook {
  const { folder, home, limits = programLimits } = options;
  const budget: Budget = { octets: maxAddressOctets };
  const turns = createTurns(limits);
  const channels = new Set<Channel>();
  const underWay = new Set<Promise<void>>();
  let { orderFor } = options;
  let stopping = false;

  const judge = async (message: Message, reversePath: string): Promise<Outcome<number>> => {
    await using kept = message;
    const spool = await kept.complete(reversePath);
    if (spool.kind !== "done") return spool;
    if (stopping) return temporary("3.2", "the server is stopping");
    if (!kept.client) return permanent("5.0", "a message from nowhere");
    const { program, environment } = orderFor(kept.client);
    if (program === "") return temporary("3.5", "control/qmailqueue names no program");
    const { forwardPaths } = kept;
    const { longestMs } = limits;
    const run = { program, environment, folder: home, spoolFolder: folder, longestMs };
    return await turns.run(() => runQueueProgram({ ...run, message: spool.value, reversePath, forwardPaths }));
  };

  /** A stop waits for it: no file of a message is left behind. */
  const awaited = (work: Promise<void>): void => {
    underWay.add(work);
    void work.finally(() => underWay.delete(work));
  };

  const onFrame = (
    { type, stream, payload }: Frame,
    messages: Map<number, Message>,
    send: (frame: Buffer) => void,
  ): undefined | "broken" => {
    const message = messages.get(stream);
    if (type === open.type) {
      if (message || payload.length > 0 || messages.size >= maxStreams) return "broken";
      messages.set(stream, new Message(folder, budget));
      return undefined;
    }
    if (!message) return "broken";
    switch (type) {
      case client.type: {
        const fields = client.decode(payload);
        return fields && message.comesFrom(fields) ? undefined : "broken";
      }
      case bodyType:
        if (message.unwrittenOctets + payload.length > submissionWindowOctets) return "broken";
        message.take(Buffer.from(payload), (octets) => {
          if (messages.get(stream) === message) send(submissionCredit.encode(stream, { octets }));
        });
        return undefined;
      case recipients.type: {
        const fields = recipients.decode(payload);
        if (!fields) return "broken";
        message.takeRecipients(fields.forwardPaths);
        return undefined;
      }
      case dsnRecipients.type: {
        // qmail-queue's envelope has no place for what was asked: the reports of this message are the usual ones.
        const fields = dsnRecipients.decode(payload);
        if (!fields) return "broken";
        message.takeRecipients(fields.forwardPaths);
        return undefined;
      }
      case optionsFrame.type:
        return optionsFrame.decode(payload) ? undefined : "broken";
      case commit.type: {
        const fields = commit.decode(payload);
        if (!fields) return "broken";
        messages.delete(stream);
        awaited(judge(message, fields.reversePath).then((verdict) => send(answer(stream, verdict))));
        return undefined;
      }
      case abandon.type:
        messages.delete(stream);
        awaited(message[Symbol.asyncDispose]());
        return undefined;
      default:
        return "broken";
    }
  };

  return {
    attach(socket) {
      const messages = new Map<number, Message>();
      const channel = createChannel(socket, {
        onFrame: (frame) =>
          channel.pendingOctets > maxUnreadOctets
            ? "broken"
            : onFrame(frame, messages, (octets) => channel.send(octets)),
        onClose() {
          channels.delete(channel);
          for (const message of messages.values()) awaited(message[Symbol.asyncDispose]());
          messages.clear();
        },
      });
      channels.add(channel);
    },
    reorder(fresh) {
      orderFor = fresh;
    },
    async stop() {
      stopping = true;
      await turns.idle();
      await new Promise(setImmediate); // the last answers leave
      for (const channel of channels) channel.close();
      await Promise.all(underWay);
    },
  };
}

const answer = (stream: number, verdict: Outcome<number>): Buffer =>
  verdict.kind === "done"
    ? stored.encode(stream, { queueId: verdict.value })
    : refused.encode(stream, {
        permanent: verdict.kind === "permanent" ? 1 : 0,
        status: verdict.status,
        text: verdict.text,
      });
