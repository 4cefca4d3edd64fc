import { sanitise } from "../event/classic.ts";
import type { Result } from "../event/event.ts";
import { takeTimestamp } from "./timestamp.ts";

/** What a report is made from: the lines of qmail-send that matchup knows, from whatever form of log. */
export type LogRecord =
  | { readonly kind: "new"; readonly message: number }
  | {
      readonly kind: "info";
      readonly message: number;
      readonly octets: number;
      readonly reversePath: string;
      readonly uid: number;
    }
  | {
      readonly kind: "starting";
      readonly delivery: number;
      readonly message: number;
      readonly channel: "local" | "remote";
      readonly recipient: string;
    }
  | { readonly kind: "delivery"; readonly delivery: number; readonly result: Result; readonly text: string }
  | { readonly kind: "bounce" | "triple bounce" | "end"; readonly message: number }
  /** The queue begins or stops: delivery numbers start at one again. */
  | { readonly kind: "restart" }
  | { readonly kind: "refusal"; readonly reply: string }
  | { readonly kind: "warning" | "alert"; readonly text: string }
  /** Means something, and nothing to us. */
  | { readonly kind: "other" };

export interface LogLine {
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  readonly record: LogRecord;
}

/**
 * Reads one line of our own log, or of qmail's behind any of its loggers' times. Addresses and texts are as in classic
 * lines, whatever form they come in. `undefined` for a line that is neither.
 */
export function parseLogLine(line: string): LogLine | undefined {
  if (line.startsWith("{")) return parseOwn(line);
  const stamped = takeTimestamp(line);
  const record = stamped && parseClassic(stamped.text);
  return record && { timeMs: stamped.timeMs, record };
}

function parseOwn(line: string): LogLine | undefined {
  const fields = parseObject(line);
  const timeMs = fields?.timeMs;
  if (!fields || typeof timeMs !== "number") return undefined;
  const record = ownRecord(fields);
  return record && { timeMs, record };
}

type Fields = Readonly<Record<string, unknown>>;

function parseObject(line: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Fields) : undefined;
  } catch {
    return undefined; // torn by a crash
  }
}

const results: readonly Result[] = ["success", "deferral", "failure"];
const number = (value: unknown): number => (typeof value === "number" ? value : Number.NaN);
const text = (value: unknown): string => (typeof value === "string" ? sanitise(value) : "");

function ownRecord(fields: Fields): LogRecord | undefined {
  const { event, program } = fields;
  const message = number(fields.message);
  const delivery = number(fields.delivery);
  switch (event) {
    case "new":
    case "bounce":
    case "triple bounce":
    case "end":
      return checked({ kind: event, message });
    case "info":
      return checked({
        kind: "info",
        message,
        octets: number(fields.octets),
        reversePath: text(fields.reversePath),
        uid: number(fields.uid),
      });
    case "starting":
      return checked({
        kind: "starting",
        delivery,
        message,
        channel: fields.channel === "local" ? "local" : "remote",
        recipient: text(fields.recipient),
      });
    case "delivery": {
      const result = results.find((each) => each === fields.result);
      return result && checked({ kind: "delivery", delivery, result, text: text(fields.text) });
    }
    case "refusal":
      return { kind: "refusal", reply: text(fields.reply) };
    case "warning":
    case "alert":
      return { kind: event, text: text(fields.text) };
    case "started":
    case "stopped":
      return { kind: program === "queue" ? "restart" : "other" };
    default:
      return typeof event === "string" ? { kind: "other" } : undefined;
  }
}

/** A record all of whose numbers are numbers. */
const checked = <Record extends LogRecord>(record: Record): Record | undefined =>
  Object.values(record).some((value) => typeof value === "number" && !(value >= 0)) ? undefined : record;

const classicForms: readonly (readonly [string, (words: readonly string[], line: string) => LogRecord | undefined])[] =
  [
    ["new msg ", ([, , message]) => checked({ kind: "new", message: id(message) })],
    ["info msg ", info],
    ["starting delivery ", starting],
    ["delivery ", ended],
    ["bounce msg ", ([, , message]) => checked({ kind: "bounce", message: id(message) })],
    [
      "triple bounce: discarding bounce/",
      ([, , , file]) => checked({ kind: "triple bounce", message: id(file?.slice(7)) }),
    ],
    ["end msg ", ([, , message]) => checked({ kind: "end", message: id(message) })],
    ["status: exiting", () => ({ kind: "restart" })],
    ["status: ", () => ({ kind: "other" })],
    ["running", () => ({ kind: "other" })],
    ["warning: ", (_, line) => ({ kind: "warning", text: sanitise(line.slice(9)) })],
    ["alert: ", (_, line) => ({ kind: "alert", text: sanitise(line.slice(7)) })],
    ["queue: started: ", () => ({ kind: "restart" })],
  ];

/** Words by their places, as matchup takes them: no blank stands in an address or a text. */
function parseClassic(line: string): LogRecord | undefined {
  for (const [start, read] of classicForms) {
    if (line.startsWith(start)) return read(line.split(" ", maxWords), line);
  }
  // What our other programs say: `smtpd: connection 9: ...`.
  if (!/^[a-z][a-z0-9-]{0,31}: /.test(line)) return undefined;
  const refused = line.indexOf(": refused ");
  return refused < 0 ? { kind: "other" } : { kind: "refusal", reply: sanitise(line.slice(line.lastIndexOf(": ") + 2)) };
}

const maxWords = 12;

/** `93869` or `93869:`; NaN for anything else. */
const id = (word: string | undefined): number =>
  word !== undefined && /^[0-9]{1,16}:?$/.test(word) ? Number.parseInt(word, 10) : Number.NaN;

function info([, , message, bytes, octets, from, sender, , , uidWord, uid]: readonly string[]): LogRecord | undefined {
  if (bytes !== "bytes" || from !== "from" || !sender?.startsWith("<") || !sender.endsWith(">")) return undefined;
  if (uidWord !== "uid") return undefined;
  const reversePath = sanitise(sender.slice(1, -1));
  return checked({ kind: "info", message: id(message), octets: id(octets), reversePath, uid: id(uid) });
}

function starting([, , delivery, msg, message, to, channel, recipient]: readonly string[]): LogRecord | undefined {
  if (msg !== "msg" || to !== "to" || recipient === undefined) return undefined;
  if (channel !== "local" && channel !== "remote") return undefined;
  return checked({
    kind: "starting",
    delivery: id(delivery),
    message: id(message),
    channel,
    recipient: sanitise(recipient),
  });
}

function ended(words: readonly string[], line: string): LogRecord | undefined {
  const [, number, word] = words;
  if (line.endsWith("report mangled, will defer")) {
    return checked({ kind: "delivery", delivery: id(number), result: "deferral", text: "report_mangled" });
  }
  const result = results.find((each) => `${each}:` === word);
  return result && checked({ kind: "delivery", delivery: id(number), result, text: sanitise(words[3] ?? "") });
}
