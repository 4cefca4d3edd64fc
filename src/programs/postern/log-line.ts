import { renderClassic } from "../../protocol/event/classic.ts";
import type { Logged } from "../../protocol/event/event.ts";
import { formatTimestamp, type TimestampKind } from "../../protocol/event/timestamp.ts";

/**
 * A line of the log file as it is printed; `undefined` for one that is no event (torn by a crash, or made up by a
 * program that was taken over).
 */
export function writeLogLine(line: string, form: TimestampKind | "json"): string | undefined {
  const logged = parseLogged(line);
  if (!logged) return undefined;
  if (form === "json") return escapeControls(JSON.stringify(logged));
  try {
    return formatTimestamp(logged.timeMs, form) + renderClassic(logged).replace(/[^ -~]/g, "_");
  } catch {
    return undefined; // fields of other kinds than ours
  }
}

/** When a line was logged, in milliseconds; 0 when it does not say. */
export function timeOf(line: string): number {
  const time = /^\{"timeMs":([0-9]{1,16})[,.]/.exec(line)?.[1];
  return time === undefined ? 0 : Number(time);
}

function parseLogged(line: string): Logged | undefined {
  try {
    const event: unknown = JSON.parse(line);
    const isEvent =
      typeof event === "object" &&
      event !== null &&
      "timeMs" in event &&
      typeof event.timeMs === "number" &&
      "event" in event &&
      "program" in event;
    return isEvent ? (event as Logged) : undefined;
  } catch {
    return undefined;
  }
}

/** JSON leaves these as they are, and a terminal may obey them. */
const escapeControls = (json: string): string =>
  json.replace(/[^ -~]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
