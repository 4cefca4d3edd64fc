import { isAscii, isUtf8Text } from "../utf8.ts";
import type { VerpDelimiters } from "../verp.ts";
import {
  flagRequireTls,
  flagUtf8,
  noOptions,
  notifyDelay,
  notifyFailure,
  notifyNever,
  notifySuccess,
  type Options,
} from "../wire/submission.ts";
import { decodeXtext } from "./xtext.ts";

export type BodyKind = 0 | 1 | 2;
export const binaryMime: BodyKind = 2;

/** What MAIL says after its path. */
export interface MailParameters {
  /** SIZE= of RFC 1870, 0 when not given. */
  readonly sizeOctets: number;
  /** 1 for BODY=8BITMIME (RFC 6152), 2 for BODY=BINARYMIME (RFC 3030). */
  readonly bodyKind: BodyKind;
  /** Postfix's XVERP: a reverse-path of its own for each recipient. */
  readonly verp?: VerpDelimiters;
  /** It names who the sender has shown to be elsewhere (AUTH=, RFC 4954 §5): we believe nobody. */
  readonly auth?: true;
  /** Absent when none was given. */
  readonly options?: Options;
  /** HOLDFOR and HOLDUNTIL of RFC 4865, not yet in `options`; milliseconds since 1970. */
  readonly hold?: { readonly forSeconds: number } | { readonly untilMs: number };
}

/** What RCPT says after its path (RFC 3461 §4.1, §4.2); fields as in the `dsnRecipients` frame. */
export interface RecipientParameters {
  /** A sum, 0 when not given. */
  readonly notify: number;
  /** ORCPT's "addr-type;xtext" as it came, "" for none. */
  readonly originalRecipient: string;
}

/** RFC 6531 §3.5: an address with other letters, in a transaction that was not begun for such. */
export const needsUtf8Reply = "553 5.6.7 an address with these letters needs SMTPUTF8 at MAIL";
export const asksUtf8 = (options: Options | undefined): boolean => ((options?.flags ?? 0) & flagUtf8) !== 0;

export const unknownParameterReply = "555 5.5.4 parameter not recognised";

/** RFC 3461 §4.4, §4.2. */
const maxEnvelopeIdOctets = 100;
const maxOriginalRecipientOctets = 500;

type Drafted<Parameters> = { -readonly [Name in keyof Parameters]: Parameters[Name] };
/** Takes a value into the draft, `undefined` when there was no "=". Returns what is wrong with it. */
type Take<Parameters> = (value: string | undefined, draft: Drafted<Parameters>) => string | undefined;

const mailParameters: ReadonlyMap<string, Take<MailParameters>> = new Map<string, Take<MailParameters>>([
  [
    "SIZE",
    (value, draft) => {
      if (value === undefined || !/^[0-9]{1,20}$/.test(value)) return "SIZE is a number of octets";
      draft.sizeOctets = Number(value);
      return undefined;
    },
  ],
  [
    "BODY",
    (value, draft) => {
      const kind = value === undefined ? undefined : bodyKinds.get(value.toUpperCase());
      if (kind === undefined) return "BODY is 7BIT, 8BITMIME or BINARYMIME";
      draft.bodyKind = kind;
      return undefined;
    },
  ],
  [
    "RET",
    (value, draft) => {
      const ret = value === undefined ? undefined : rets.get(value.toUpperCase());
      if (ret === undefined) return "RET is FULL or HDRS";
      draft.options = { ...noOptions, ...draft.options, ret };
      return undefined;
    },
  ],
  [
    "AUTH",
    (value, draft) => {
      if (!value || (value !== "<>" && decodeXtext(value) === undefined)) return "AUTH is an address in xtext, or <>";
      draft.auth = true;
      return undefined;
    },
  ],
  [
    "ENVID",
    (value, draft) => {
      if (!value || value.length > maxEnvelopeIdOctets || decodeXtext(value) === undefined) {
        return `ENVID is xtext of up to ${maxEnvelopeIdOctets} octets`;
      }
      draft.options = { ...noOptions, ...draft.options, envelopeId: value };
      return undefined;
    },
  ],
  [
    "SMTPUTF8",
    (value, draft) => {
      if (value !== undefined) return "SMTPUTF8 has no value";
      draft.options = { ...noOptions, ...draft.options, flags: (draft.options?.flags ?? 0) | flagUtf8 };
      return undefined;
    },
  ],
  [
    "REQUIRETLS",
    (value, draft) => {
      if (value !== undefined) return "REQUIRETLS has no value";
      draft.options = { ...noOptions, ...draft.options, flags: (draft.options?.flags ?? 0) | flagRequireTls };
      return undefined;
    },
  ],
  [
    "MT-PRIORITY",
    (value, draft) => {
      if (value === undefined || !/^(?:-?[1-9]|0)$/.test(value)) return "MT-PRIORITY is a number from -9 to 9";
      draft.options = { ...noOptions, ...draft.options, priority: Number(value) + noOptions.priority };
      return undefined;
    },
  ],
  [
    "HOLDFOR",
    (value, draft) => {
      if (value === undefined || !/^[1-9][0-9]{0,8}$/.test(value)) return "HOLDFOR is a number of seconds";
      if (draft.hold) return "HOLDFOR and HOLDUNTIL exclude each other";
      draft.options = { ...noOptions, ...draft.options };
      draft.hold = { forSeconds: Number(value) };
      return undefined;
    },
  ],
  [
    "HOLDUNTIL",
    (value, draft) => {
      const untilMs = value === undefined ? undefined : parseDateTime(value);
      if (untilMs === undefined) return "HOLDUNTIL is a time as 2030-01-31T23:59:59Z";
      if (draft.hold) return "HOLDFOR and HOLDUNTIL exclude each other";
      draft.options = { ...noOptions, ...draft.options };
      draft.hold = { untilMs };
      return undefined;
    },
  ],
  [
    "XVERP",
    (value, draft) => {
      const [before, within, ...more] = value ?? "+=";
      if (!isDelimiter(before) || !isDelimiter(within) || more.length > 0) return "XVERP needs two characters from -+=";
      draft.verp = [before, within];
      return undefined;
    },
  ],
]);

const bodyKinds: ReadonlyMap<string, BodyKind> = new Map([
  ["7BIT", 0],
  ["8BITMIME", 1],
  ["BINARYMIME", 2],
]);
const rets: ReadonlyMap<string, number> = new Map([
  ["FULL", 1],
  ["HDRS", 2],
]);
const isDelimiter = (text: string | undefined): text is string => text === "-" || text === "+" || text === "=";

/** RFC 3339 in UTC, as RFC 4865 §4 has it. A day that is none, such as the 31st of June, is refused. */
function parseDateTime(text: string): number | undefined {
  if (!/^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/.test(text)) return undefined;
  const ms = Date.parse(text);
  return Number.isSafeInteger(ms) && new Date(ms).toISOString().slice(0, 19) === text.slice(0, 19) ? ms : undefined;
}

const recipientParameters: ReadonlyMap<string, Take<RecipientParameters>> = new Map<string, Take<RecipientParameters>>([
  [
    "NOTIFY",
    (value, draft) => {
      const notify = value === undefined ? undefined : readNotify(value.toUpperCase());
      if (notify === undefined) return "NOTIFY is NEVER or a list of SUCCESS, FAILURE and DELAY";
      draft.notify = notify;
      return undefined;
    },
  ],
  [
    "ORCPT",
    (value, draft) => {
      if (value === undefined || value.length > maxOriginalRecipientOctets || !isTypedAddress(value)) {
        return `ORCPT is a type, ";" and xtext, up to ${maxOriginalRecipientOctets} octets`;
      }
      draft.originalRecipient = value;
      return undefined;
    },
  ],
]);

const notifyKinds: ReadonlyMap<string, number> = new Map([
  ["SUCCESS", notifySuccess],
  ["FAILURE", notifyFailure],
  ["DELAY", notifyDelay],
]);

function readNotify(value: string): number | undefined {
  if (value === "NEVER") return notifyNever;
  let notify = 0;
  for (const word of value.split(",")) {
    const kind = notifyKinds.get(word);
    if (kind === undefined) return undefined;
    notify |= kind;
  }
  return notify;
}

/** RFC 3461 §4.2: an atom, ";", and the address in xtext; of type utf-8 also in UTF-8 as it is (RFC 6533 §3). */
function isTypedAddress(value: string): boolean {
  const semicolon = value.indexOf(";");
  const type = value.slice(0, Math.max(0, semicolon));
  const address = value.slice(semicolon + 1);
  if (!isAscii(address)) return type.toLowerCase() === "utf-8" && isUtf8Text(address) && !/[+=]/.test(address);
  return /^[A-Za-z0-9-]{1,63}$/.test(type) && !!decodeXtext(address);
}

/** Reads what stands after MAIL's path, from `start` of `text` on. A string is the reply to what is wrong with it. */
export const readMailParameters = (text: string, start: number): MailParameters | string =>
  readParameters(text, start, mailParameters, { sizeOctets: 0, bodyKind: 0 });

/** Reads what stands after RCPT's path; `undefined` is nothing. */
export const readRecipientParameters = (text: string, start: number): RecipientParameters | undefined | string =>
  start === text.length
    ? undefined
    : readParameters(text, start, recipientParameters, { notify: 0, originalRecipient: "" });

/** RFC 5321 §4.1.2: keywords in any case, each at most once. */
function readParameters<Parameters>(
  text: string,
  start: number,
  known: ReadonlyMap<string, Take<Parameters>>,
  draft: Drafted<Parameters>,
): Parameters | string {
  if (start === text.length) return draft;
  const seen: string[] = [];
  for (const parameter of text.slice(start).split(" ")) {
    if (parameter === "") continue;
    const equals = parameter.indexOf("=");
    const keyword = (equals < 0 ? parameter : parameter.slice(0, equals)).toUpperCase();
    const take = known.get(keyword);
    if (!take) return unknownParameterReply;
    const wrong = seen.includes(keyword)
      ? `${keyword} is given twice`
      : take(equals < 0 ? undefined : parameter.slice(equals + 1), draft);
    if (wrong) return `501 5.5.4 ${wrong}`;
    seen.push(keyword);
  }
  return draft;
}
