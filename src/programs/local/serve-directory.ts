import type { Socket } from "node:net";
import { splitAddress } from "../../protocol/address.ts";
import type { Outcome } from "../../protocol/outcome.ts";
import * as wire from "../../protocol/wire/directory.ts";
import { probe, probed } from "../../protocol/wire/worker.ts";
import { createChannel } from "../../services/channel/channel.ts";
import type { Confinement, Routed } from "../../services/directory/route.ts";
import { octetsOf } from "../../services/maildir/file.ts";
import type { Letter } from "./check-password.ts";
import type { Place } from "./mailbox.ts";
import type { Desk } from "./serve-queue.ts";
import type { Tickets } from "./tickets.ts";
import type { Workers } from "./workers.ts";

/** A worker that has not answered by then is busy with something else, or there is no place for one. */
const longestMs = 10_000;
/** So many are looked for at once, those that were forgotten while a file system hung among them. */
const maxLooking = 256;

export type DirectoryDesk = Pick<Desk, "route" | "workers" | "defaultDelivery" | "fullIsPermanent" | "isOpen"> & {
  /** The site's own program says; "Z" without one. */
  readonly checkPassword: (account: string, password: Buffer) => Promise<Letter>;
  readonly tickets: Tickets;
  /** Where the mail of an address lies. */
  readonly place: (address: string) => Promise<Outcome<Place>>;
};

/**
 * Answers what `directory` asks over `socket`: routed as a delivery is, then the user's own worker looks. Keeps the
 * tickets it grants.
 */
export function serveDirectory(socket: Socket, desk: DirectoryDesk): { close(): void } {
  const channel = createChannel(socket, {
    onFrame({ type, stream, payload }) {
      switch (type) {
        case wire.askMailbox.type:
          return mailboxes.ask(stream, wire.askMailbox.decode(payload));
        case wire.forgetMailbox.type:
          return mailboxes.forget(stream);
        case wire.askPassword.type:
          return passwords.ask(stream, wire.askPassword.decode(payload));
        case wire.askPlace.type:
          return places.ask(stream, wire.askPlace.decode(payload));
        case wire.grant.type: {
          const granted = wire.grant.decode(payload);
          return granted ? desk.tickets.grant(granted.ticket, granted.address) : "broken";
        }
        default:
          return "broken";
      }
    },
    onClose() {},
  });

  /** Questions of one kind, at most so many at once. */
  const answering = <Fields>(most: number, answer: Answering<Fields>) => {
    const asked = new Map<number, AbortController>();
    return {
      ask(stream: number, fields: Fields | undefined): undefined | "broken" {
        if (!fields || asked.has(stream) || asked.size >= most) return "broken";
        const forgotten = new AbortController();
        asked.set(stream, forgotten);
        void answer(fields, stream, forgotten.signal).then((frame) => {
          if (forgotten.signal.aborted) return;
          asked.delete(stream);
          channel.send(frame);
        });
        return undefined;
      },
      /** It may have been answered meanwhile. */
      forget(stream: number): undefined {
        asked.get(stream)?.abort();
        asked.delete(stream);
      },
    };
  };
  let looking = 0;
  const mailboxes = answering<{ readonly address: string }>(
    wire.maxMailboxQuestions,
    async ({ address }, stream, forgotten) => {
      if (!desk.isOpen() || looking >= maxLooking)
        return wire.mailboxAnswer.encode(stream, { answer: wire.cannotTell });
      looking++;
      const answer = await find(address, desk, forgotten);
      looking--;
      return wire.mailboxAnswer.encode(stream, { answer });
    },
  );
  const passwords = answering<{ readonly account: string; readonly password: Uint8Array }>(
    wire.maxPasswordQuestions,
    async ({ account, password }, stream) =>
      wire.passwordAnswer.encode(stream, { letter: await desk.checkPassword(account, Buffer.from(password)) }),
  );
  const places = answering<{ readonly address: string }>(wire.maxPlaceQuestions, async ({ address }, stream) =>
    wire.placeAnswer.encode(stream, placeFields(await desk.place(address))),
  );
  return { close: () => channel.close() };
}

/** `forgotten`: nobody waits for it any more. */
type Answering<Fields> = (fields: Fields, stream: number, forgotten: AbortSignal) => Promise<Buffer>;

const nowhere = { uid: 0, gid: 0, home: "", folder: "", quota: "" };

const placeFields = (place: Outcome<Place>) =>
  place.kind === "done"
    ? { answer: wire.exists, ...place.value, home: octetsOf(place.value.home), folder: octetsOf(place.value.folder) }
    : { answer: place.kind === "permanent" ? wire.doesNotExist : wire.cannotTell, ...nowhere };

async function find(address: string, desk: DirectoryDesk, forgotten: AbortSignal): Promise<number> {
  const routed: Routed = await desk.route(address);
  if (routed.kind !== "done") return routed.kind === "permanent" ? wire.doesNotExist : wire.cannotTell;
  if (!routed.value) return wire.exists; // thrown away, as qmail does
  const { confinement, home, homeKind, dash, extension, lines, quota = "" } = routed.value;
  const { localPart: local } = splitAddress(address);
  const place = { home, homeKind, local, dash, extension, defaultDelivery: lines ?? desk.defaultDelivery(), quota };
  const asked = { ...place, fullIsPermanent: desk.fullIsPermanent() ? 1 : 0 };
  return forgotten.aborted ? wire.cannotTell : await look(desk.workers, confinement, asked, forgotten);
}

type Probe = Parameters<typeof probe.encode>[1];

function look(workers: Workers, confinement: Confinement, place: Probe, forgotten: AbortSignal): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  let forget = (): void => {};
  let hasEnded = false;
  const end = (answer: number): void => {
    hasEnded = true;
    clearTimeout(clock);
    forget();
    resolve(answer);
  };
  const clock = setTimeout(() => end(wire.cannotTell), longestMs);
  forgotten.addEventListener("abort", () => end(wire.cannotTell), { once: true });
  workers.take(confinement, (taken) => {
    if (hasEnded) return;
    if (taken.kind !== "done") return end(wire.cannotTell);
    const worker = taken.value;
    const stream = worker.open({
      onFrame(frame) {
        const answer = frame.type === probed.type ? probed.decode(frame.payload)?.answer : undefined;
        if (answer === undefined || answer > wire.overQuotaForGood) return "broken";
        end(answer);
        return undefined;
      },
      onWritten: () => {},
      onLost: () => end(wire.cannotTell),
    });
    forget = () => worker.forget(stream);
    worker.send(probe.encode(stream, place));
  });
  return promise;
}
