import type { Socket } from "node:net";
import { splitAddress } from "../../protocol/address.ts";
import {
  askMailbox,
  askPassword,
  cannotTell,
  doesNotExist,
  exists,
  grant,
  mailboxAnswer,
  maxMailboxQuestions,
  maxPasswordQuestions,
  overQuotaForGood,
  passwordAnswer,
} from "../../protocol/wire/directory.ts";
import type { Frame } from "../../protocol/wire/frame.ts";
import { probe, probed } from "../../protocol/wire/worker.ts";
import { createChannel } from "../../services/channel/channel.ts";
import type { Confinement, Routed } from "../../services/directory/route.ts";
import type { Letter } from "./check-password.ts";
import type { Desk } from "./serve-queue.ts";
import type { Tickets } from "./tickets.ts";
import type { Workers } from "./workers.ts";

/** A worker that has not answered by then is busy with something else, or there is no place for one. */
const longestMs = 10_000;

export type DirectoryDesk = Pick<Desk, "route" | "workers" | "defaultDelivery" | "fullIsPermanent" | "isOpen"> & {
  /** The site's own program says; "Z" without one. */
  readonly checkPassword: (account: string, password: Buffer) => Promise<Letter>;
  readonly tickets: Tickets;
};

/**
 * Answers what `directory` asks over `socket`: routed as a delivery is, then the user's own worker looks. Keeps the
 * tickets it grants.
 */
export function serveDirectory(socket: Socket, desk: DirectoryDesk): { close(): void } {
  const asked = new Set<number>();
  const checked = new Set<number>();
  const channel = createChannel(socket, {
    onFrame(frame) {
      switch (frame.type) {
        case askMailbox.type:
          return ask(frame);
        case askPassword.type:
          return check(frame);
        case grant.type:
          return take(frame);
        default:
          return "broken";
      }
    },
    onClose() {
      asked.clear();
      checked.clear();
    },
  });

  function take({ payload }: Frame): undefined | "broken" {
    const granted = grant.decode(payload);
    return granted ? desk.tickets.grant(granted.ticket, granted.address) : "broken";
  }

  function check({ stream, payload }: Frame): undefined | "broken" {
    const question = askPassword.decode(payload);
    if (!question || checked.has(stream) || checked.size >= maxPasswordQuestions) return "broken";
    checked.add(stream);
    void desk.checkPassword(question.account, Buffer.from(question.password)).then((letter) => {
      if (checked.delete(stream)) channel.send(passwordAnswer.encode(stream, { letter }));
    });
    return undefined;
  }

  function ask({ stream, payload }: Frame): undefined | "broken" {
    const question = askMailbox.decode(payload);
    if (!question || asked.has(stream) || asked.size >= maxMailboxQuestions) return "broken";
    asked.add(stream);
    const answer = (value: number): void => {
      if (asked.delete(stream)) channel.send(mailboxAnswer.encode(stream, { answer: value }));
    };
    if (desk.isOpen()) void find(question.address, desk).then(answer);
    else answer(cannotTell);
    return undefined;
  }

  return { close: () => channel.close() };
}

async function find(address: string, desk: DirectoryDesk): Promise<number> {
  const routed: Routed = await desk.route(address);
  if (routed.kind !== "done") return routed.kind === "permanent" ? doesNotExist : cannotTell;
  if (!routed.value) return exists; // thrown away, as qmail does
  const { confinement, home, homeKind, dash, extension, lines, quota = "" } = routed.value;
  const { localPart: local } = splitAddress(address);
  const place = { home, homeKind, local, dash, extension, defaultDelivery: lines ?? desk.defaultDelivery(), quota };
  return await look(desk.workers, confinement, { ...place, fullIsPermanent: desk.fullIsPermanent() ? 1 : 0 });
}

type Place = Parameters<typeof probe.encode>[1];

function look(workers: Workers, confinement: Confinement, place: Place): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  let forget = (): void => {};
  let hasEnded = false;
  const end = (answer: number): void => {
    hasEnded = true;
    clearTimeout(clock);
    forget();
    resolve(answer);
  };
  const clock = setTimeout(() => end(cannotTell), longestMs);
  workers.take(confinement, (taken) => {
    if (hasEnded) return;
    if (taken.kind !== "done") return end(cannotTell);
    const worker = taken.value;
    const stream = worker.open({
      onFrame(frame) {
        const answer = frame.type === probed.type ? probed.decode(frame.payload)?.answer : undefined;
        if (answer === undefined || answer > overQuotaForGood) return "broken";
        end(answer);
        return undefined;
      },
      onWritten: () => {},
      onLost: () => end(cannotTell),
    });
    forget = () => worker.forget(stream);
    worker.send(probe.encode(stream, place));
  });
  return promise;
}
