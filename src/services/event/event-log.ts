import type { Socket } from "node:net";
import type { Event } from "../../protocol/event/event.ts";

export interface EventLog {
  /** Notes an event; it leaves with the others of the next few milliseconds. Never waits, never throws. */
  readonly log: (event: Event) => void;
  /** The connection with `logger`, at start and after each of its restarts. */
  attach(socket: Socket): void;
  /** Resolves when what was logged so far has been handed over, or cannot be. */
  flushed(): Promise<void>;
}

/** Past this, events are dropped and counted: a log that stands still must not stop the mail. */
const maxPendingOctets = 1_048_576;
/** A write for each turn of the loop cost smtpd a third of its time. */
const gatherMs = 20;

/** `logger` adds which program it is: it would believe nobody. */
export function createEventLog(): EventLog {
  let socket: Socket | undefined;
  let lines: string[] = [];
  let pendingOctets = 0;
  let dropped = 0;
  let flushing = false;

  const flush = (): void => {
    flushing = false;
    if (!socket || lines.length === 0) return;
    if (dropped > 0 && socket.writableLength === 0) {
      lines.push(line({ event: "warning", text: `${dropped} events were not logged: the log did not keep up` }));
      dropped = 0;
    }
    socket.write(lines.join(""));
    lines = [];
    pendingOctets = 0;
  };
  const line = (event: Event): string => `${JSON.stringify({ timeMs: Date.now(), ...event })}\n`;

  return {
    log(event) {
      if (pendingOctets + (socket?.writableLength ?? 0) > maxPendingOctets) {
        dropped++;
        return;
      }
      const text = line(event);
      lines.push(text);
      pendingOctets += text.length;
      if (flushing) return;
      flushing = true;
      setTimeout(flush, gatherMs);
    },
    attach(fresh) {
      socket?.destroy();
      socket = fresh;
      fresh.on("error", () => {});
      fresh.on("close", () => {
        if (socket === fresh) socket = undefined;
      });
      fresh.resume(); // the logger never writes; reading notices its end
      flush();
    },
    async flushed() {
      flush();
      const { promise, resolve } = Promise.withResolvers<void>();
      if (!socket || socket.writableLength === 0) resolve();
      else {
        socket.once("drain", resolve);
        socket.once("close", () => resolve());
      }
      await promise;
    },
  };
}
