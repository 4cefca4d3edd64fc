import type { Socket } from "node:net";
import { splitAddress } from "../../protocol/address.ts";
import { done } from "../../protocol/outcome.ts";
import { bodyEnd, deliver, deliveryBodyType, settled } from "../../protocol/wire/delivery.ts";
import type { Frame } from "../../protocol/wire/frame.ts";
import { task } from "../../protocol/wire/worker.ts";
import { createChannel } from "../../services/channel/channel.ts";
import type { Route, Routed } from "../../services/directory/route.ts";
import { Delivery, type DeliveryDesk, type HeldForwards, type Taken } from "./delivery.ts";
import type { Flusher } from "./flush.ts";
import type { Worker } from "./worker.ts";
import type { Workers } from "./workers.ts";

/** What deliveries need of the rest of this program. */
export interface Desk {
  readonly route: (address: string) => Routed | Promise<Routed>;
  readonly workers: Workers;
  readonly flusher: Flusher;
  readonly held: HeldForwards;
  /** The lines of users without a .qmail file. */
  readonly defaultDelivery: () => string;
  /** This server's name, in the names of stored files. */
  readonly host: () => string;
  /** What finds a mailbox full fails for good. */
  readonly fullIsPermanent: () => boolean;
  /** False once we stop: new deliveries are left unanswered, and `queue` tries them again. */
  readonly isOpen: () => boolean;
}

/** The connection with `queue`. */
export interface QueueLink {
  readonly openDeliveries: number;
  close(): void;
}

/** More deliveries than this at once are a queue gone mad. */
const maxOpenDeliveries = 20_000;

type Job = NonNullable<ReturnType<typeof deliver.decode>>;

export interface QueueLinkEvents {
  /** No delivery is open any more. */
  readonly whenIdle: () => void;
  readonly whenClosed: () => void;
}

/** Takes deliveries from `queue` over `socket` until it closes. */
export function serveQueue(socket: Socket, desk: Desk, { whenIdle, whenClosed }: QueueLinkEvents): QueueLink {
  const deliveries = new Map<number, Delivery>();
  const unsettled = new Map<number, Taken>();
  const channel = createChannel(socket, {
    onFrame(frame) {
      switch (frame.type) {
        case deliver.type:
          return begin(frame);
        case deliveryBodyType:
        case bodyEnd.type:
          return deliveries.get(frame.stream)?.fromQueue(frame);
        case settled.type:
          return settle(frame.stream);
        default:
          return "broken";
      }
    },
    onClose() {
      for (const delivery of deliveries.values()) delivery.abandon();
      deliveries.clear();
      desk.workers.endRetired();
      whenClosed();
    },
  });

  const around: DeliveryDesk = {
    toQueue: channel.send,
    flusher: desk.flusher,
    held: desk.held,
    whenEnded(stream, taken) {
      deliveries.delete(stream);
      if (taken) keepForSettling(stream, taken);
      if (deliveries.size === 0) whenIdle();
    },
  };

  function begin({ stream, payload }: Frame): undefined | "broken" {
    const job = deliver.decode(payload);
    const [number] = job?.numbers ?? [];
    const [address] = job?.forwardPaths ?? [];
    if (!job || number === undefined || address === undefined || job.forwardPaths.length !== 1) return "broken";
    if (deliveries.has(stream) || deliveries.size >= maxOpenDeliveries) return "broken";
    if (!desk.isOpen()) return undefined;
    const delivery = new Delivery({ stream, number, octets: job.octets }, around);
    deliveries.set(stream, delivery);
    handOut(delivery, job, number, address);
    return undefined;
  }

  function handOut(delivery: Delivery, job: Job, number: number, address: string): void {
    const take = (routed: Routed): void => {
      const route = routed.kind === "done" ? routed.value : undefined;
      if (!route) delivery.begin(routed.kind === "done" ? done(undefined) : routed);
      else
        desk.workers.take(route.confinement, (worker) =>
          delivery.begin(worker.kind === "done" ? done(assign(worker.value, route, job, number, address)) : worker),
        );
    };
    const routed = desk.route(address);
    if (routed instanceof Promise) routed.then(take).catch(failed);
    else take(routed);
  }

  function assign(worker: Worker, route: Route, job: Job, number: number, address: string) {
    const { localPart: local, domain } = splitAddress(address);
    const { name, octets, reversePath } = job;
    const shared = { name, number, octets, reversePath, local, domain };
    const place = {
      defaultDelivery: route.lines ?? desk.defaultDelivery(),
      quota: route.quota ?? "",
      host: desk.host(),
      fullIsPermanent: desk.fullIsPermanent() ? 1 : 0,
    };
    return { worker, task: (stream: number) => task.encode(stream, { ...shared, ...route, ...place }) };
  }

  function keepForSettling(stream: number, taken: Taken): void {
    const [oldest] = unsettled.keys();
    if (unsettled.size >= maxOpenDeliveries && oldest !== undefined) unsettled.delete(oldest);
    unsettled.set(stream, taken);
  }

  function settle(stream: number): undefined {
    const taken = unsettled.get(stream);
    taken?.worker.send(settled.encode(taken.stream, {}));
    unsettled.delete(stream);
  }

  return {
    get openDeliveries() {
      return deliveries.size;
    },
    close: () => channel.close(),
  };
}

/** A bug: ends the process as any other. */
const failed = (error: unknown): void => {
  setImmediate(() => {
    throw error;
  });
};
