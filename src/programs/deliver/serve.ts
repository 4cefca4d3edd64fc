import type { Duplex } from "node:stream";
import { deliveredToLine } from "../../protocol/dot-qmail/environment.ts";
import type { Failure } from "../../protocol/outcome.ts";
import {
  bodyEnd,
  deliveryBodyType,
  deliveryCredit,
  deliveryWindowOctets,
  ended,
  forward,
  report,
  settled,
} from "../../protocol/wire/delivery.ts";
import type { Frame } from "../../protocol/wire/frame.ts";
import { abandon, probe, probed, ran, run, task, written } from "../../protocol/wire/worker.ts";
import { type Channel, createChannel } from "../../services/channel/channel.ts";
import { isNameSafe } from "../../services/maildir/name.ts";
import { remove } from "../../services/maildir/store.ts";
import {
  type Delivered,
  deliver,
  type Forwards,
  type ProgramRequest,
  type Ran,
  type Surroundings,
} from "./delivery.ts";
import { type Ground, realGround } from "./ground.ts";
import { type Home, openHome } from "./home.ts";
import { type Message, receiveMessage, unreadable } from "./message.ts";
import { probeMailbox } from "./probe.ts";
import { createStore, type Store } from "./stores.ts";
import type { Task } from "./task.ts";

/** A delivery under way: its body is coming, or it is being carried out. */
interface Stream {
  readonly task: Task;
  readonly home: Home;
  readonly message: Message;
  /** Nobody waits for it any more: it must not go on, for its repetition may be done, settled and forgotten. */
  readonly abandoned: AbortController;
  isRunning: boolean;
  uncreditedOctets: number;
  /** Waits for the program it asked for. */
  ranProgram?: (ran: Ran) => void;
}

const maxUnsettled = 20_000;

/** Delivers what `local` sends over `socket`, as this user, until it closes the connection. */
export function serveDeliveries(socket: Duplex, whenClosed: () => void, ground: Ground = realGround()): void {
  const streams = new Map<number, Stream>();
  const unsettled = new Map<number, readonly string[]>();
  const store = createStore(ground);

  const channel = createChannel(socket, {
    onFrame(frame) {
      switch (frame.type) {
        case task.type:
          return begin(frame);
        case probe.type:
          return answerProbe(frame);
        case deliveryBodyType:
          return takeBody(frame);
        case bodyEnd.type:
          return carryOut(frame.stream);
        case ran.type:
          return programRan(frame);
        case settled.type:
          return settle(frame.stream);
        case abandon.type:
          return drop(frame.stream);
        default:
          return "broken";
      }
    },
    onClose() {
      for (const { abandoned } of streams.values()) abandoned.abort();
      whenClosed();
    },
  });

  function begin(frame: Frame): undefined | "broken" {
    const given = task.decode(frame.payload);
    if (!given || !isNameSafe(given.name) || streams.has(frame.stream)) return "broken";
    const home = openHome(given);
    if (home.kind !== "done") {
      const letter = home.kind === "permanent" ? "D" : "Z";
      const text = `${home.text}\n`;
      answer(frame.stream, given.number, { letter, status: home.status, text, devices: new Set(), marks: [] });
      return undefined;
    }
    const line = deliveredToLine(given.local, given.domain);
    const message = receiveMessage(given.octets, home.value.path, line);
    const abandoned = new AbortController();
    const stream = { task: given, home: home.value, message, abandoned, isRunning: false, uncreditedOctets: 0 };
    streams.set(frame.stream, stream);
    return undefined;
  }

  function answerProbe({ stream, payload }: Frame): undefined | "broken" {
    const asked = probe.decode(payload);
    if (!asked) return "broken";
    channel.send(probed.encode(stream, { answer: probeMailbox(asked, store) }));
    return undefined;
  }

  /** What still comes for a delivery that was answered early is no error. */
  function takeBody(frame: Frame): undefined | "broken" {
    const stream = streams.get(frame.stream);
    if (!stream) return undefined;
    if (stream.isRunning) return "broken";
    const kept = stream.message.write(frame.payload);
    if (kept.kind !== "done") {
      streams.delete(frame.stream);
      stream.message.close();
      answer(frame.stream, stream.task.number, deferredFor(kept));
      return undefined;
    }
    stream.uncreditedOctets += frame.payload.length;
    if (stream.task.octets > deliveryWindowOctets && stream.uncreditedOctets >= deliveryWindowOctets / 2) {
      channel.send(deliveryCredit.encode(frame.stream, { octets: stream.uncreditedOctets }));
      stream.uncreditedOctets = 0;
    }
    return undefined;
  }

  function carryOut(id: number): undefined | "broken" {
    const stream = streams.get(id);
    if (!stream) return undefined;
    if (stream.isRunning) return "broken";
    stream.isRunning = true;
    const around: Surroundings = {
      store,
      runProgram: (request) => askForProgram(channel, id, stream, request),
      signal: stream.abandoned.signal,
    };
    const result = stream.message.isComplete()
      ? deliver(stream.task, stream.home, stream.message, around)
      : Promise.resolve(deferredFor(unreadable));
    result.then(
      (delivered) => finish(id, stream, delivered),
      (error) => {
        if (!stream.abandoned.signal.aborted) throw error;
        stream.message.close();
      },
    );
    return undefined;
  }

  function finish(id: number, stream: Stream, delivered: Delivered): void {
    stream.message.close();
    if (streams.get(id) !== stream) return; // abandoned: the marks tell the next attempt
    streams.delete(id);
    answer(id, stream.task.number, delivered);
  }

  function answer(id: number, number: number, delivered: Delivered): void {
    if (delivered.letter !== "Z" && delivered.marks.length > 0) {
      const [oldest] = unsettled.keys();
      if (unsettled.size >= maxUnsettled && oldest !== undefined) unsettled.delete(oldest); // its marks get stale
      unsettled.set(id, delivered.marks);
    }
    sendResult({ channel, store, id, number }, delivered);
  }

  function programRan(frame: Frame): undefined | "broken" {
    const fields = ran.decode(frame.payload);
    if (!fields) return "broken";
    const stream = streams.get(frame.stream);
    const tell = stream?.ranProgram;
    if (!stream || !tell) return undefined;
    delete stream.ranProgram;
    tell({ exitCode: fields.exitCode, signalled: fields.signalled !== 0, output: fields.output });
    return undefined;
  }

  function settle(id: number): undefined {
    for (const mark of unsettled.get(id) ?? []) remove(store.ground.files, mark);
    unsettled.delete(id);
  }

  function drop(id: number): undefined {
    const stream = streams.get(id);
    streams.delete(id);
    unsettled.delete(id);
    stream?.abandoned.abort();
    if (stream && !stream.isRunning) stream.message.close();
    stream?.ranProgram?.({ exitCode: 0, signalled: true, output: "" });
  }
}

const deferredFor = ({ status, text }: Failure): Delivered => ({
  letter: "Z",
  status,
  text: `${text}\n`,
  devices: new Set(),
  marks: [],
});

async function askForProgram(channel: Channel, id: number, stream: Stream, request: ProgramRequest): Promise<Ran> {
  const { promise, resolve } = Promise.withResolvers<Ran>();
  stream.ranProgram = resolve;
  channel.send(run.encode(id, request));
  return await promise;
}

interface Answer {
  readonly channel: Channel;
  readonly store: Store;
  readonly id: number;
  readonly number: number;
}

function sendResult({ channel, store, id, number }: Answer, delivered: Delivered): void {
  for (const device of delivered.devices) {
    const folder = store.folders.get(device);
    if (folder !== undefined) channel.send(written.encode(id, { device, folder }));
  }
  if (delivered.forwards) for (const frame of forwardFrames(id, delivered.forwards)) channel.send(frame);
  const { letter, status, text } = delivered;
  channel.send(report.encode(id, { number, letter, status, text }));
  channel.send(ended.encode(id, { reached: 1 }));
}

const maxForwardOctets = 60_000;

/** The forward-paths in as many frames as they need; only the first has the prefix. */
function* forwardFrames(id: number, forwards: Forwards): Generator<Buffer> {
  let { prefix } = forwards;
  let forwardPaths: string[] = [];
  let octets = 0;
  for (const path of forwards.forwardPaths) {
    if (octets + path.length > maxForwardOctets) {
      yield forward.encode(id, { reversePath: forwards.reversePath, prefix, forwardPaths });
      prefix = prefix.subarray(0, 0);
      forwardPaths = [];
      octets = 0;
    }
    forwardPaths.push(path);
    octets += path.length + 4;
  }
  yield forward.encode(id, { reversePath: forwards.reversePath, prefix, forwardPaths });
}
