import type { Duplex } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { bodyEnd, deliver, deliverOptions, deliveryBodyType, settled } from "../../protocol/wire/delivery.ts";
import type { Frame } from "../../protocol/wire/frame.ts";
import { type Channel, createChannel } from "../../services/channel/channel.ts";
import type { Means } from "./attempt.ts";
import { type DeliverFields, Delivery } from "./delivery.ts";

/** queue keeps to concurrencyremote; nobody opens more than its greatest value. */
const maxDeliveries = 10_000;

/** All deliveries under way, over every connection with `queue`. */
export class Deliveries {
  readonly #means: () => Means;
  readonly #running = new Set<Delivery>();
  #isStopping = false;
  #onEmpty: () => void = () => {};

  constructor(means: () => Means) {
    this.#means = means;
  }

  /** Speaks with `queue` over `socket`, until it breaks: then what it asked for is dropped. */
  serve(socket: Duplex): void {
    const streams = new Map<number, Delivery>();
    const channel: Channel = createChannel(socket, {
      onFrame: ({ type, stream, payload }: Frame) => {
        switch (type) {
          case deliver.type:
            return this.#begin(stream, deliver.decode(payload), streams, channel);
          // What still comes for a stream that was answered early is nobody's.
          case deliverOptions.type: {
            const fields = deliverOptions.decode(payload);
            return fields ? streams.get(stream)?.ask(fields) : "broken";
          }
          case deliveryBodyType:
            streams.get(stream)?.begin();
            return streams.get(stream)?.body.push(payload);
          case bodyEnd.type:
            streams.get(stream)?.begin();
            return streams.get(stream)?.body.end();
          case settled.type:
            return undefined;
          default:
            return "broken";
        }
      },
      onClose: () => {
        for (const delivery of streams.values()) delivery.abandon("queue went away");
      },
    });
  }

  /** Takes nothing new; what runs may finish within `withinMs`, the rest is deferred. Resolves when all are answered. */
  async stop(withinMs: number): Promise<void> {
    this.#isStopping = true;
    if (this.#running.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const { watch } = this.#means();
      const limit = { deadlineMs: watch.now() + withinMs, expire: resolve };
      watch.add(limit);
      this.#onEmpty = resolve;
      await promise;
      watch.delete(limit);
    }
    for (const delivery of this.#running) delivery.abandon("this server is being stopped");
    await setImmediate(); // they answer
    await setImmediate(); // and the channel writes at the end of the turn
  }

  #begin(
    stream: number,
    fields: DeliverFields | undefined,
    streams: Map<number, Delivery>,
    channel: Channel,
  ): "broken" | undefined {
    const isSound = fields && fields.numbers.length > 0 && fields.numbers.length === fields.forwardPaths.length;
    if (!isSound || streams.has(stream) || this.#running.size >= maxDeliveries) return "broken";
    const delivery = new Delivery(stream, fields, (frame) => channel.send(frame));
    streams.set(stream, delivery);
    this.#running.add(delivery);
    const ended = () => {
      streams.delete(stream);
      this.#running.delete(delivery);
      if (this.#running.size === 0) this.#onEmpty();
    };
    if (this.#isStopping) delivery.abandon("this server is being stopped");
    // A bug in an attempt ends the process: its streams count as deferred then.
    void delivery.run(this.#means()).then(ended);
    return undefined;
  }
}
