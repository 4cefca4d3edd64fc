import { asciiDomain } from "./domain.ts";
import { parseIp } from "./network/network.ts";
import { done, type Outcome, permanent } from "./outcome.ts";
import { isAscii, isUtf8Text } from "./utf8.ts";

/**
 * What an SMTP path says (RFC 5321 §4.1.2): the local part without its quoting, the domain in lower case and A-labels, or
 * an address literal in brackets. Only "postmaster" may come without a domain, which is then "". All text is latin1, one
 * character an octet: a local part of RFC 6531 is the octets of its UTF-8.
 *
 * In memory, in frames and in the queue an address is the one string `localPart@domain`, split at its last `@`.
 */
export interface Path {
  readonly localPart: string;
  readonly domain: string;
}

/** A path with its brackets, the local part in it, and the domain (RFC 5321 §4.5.3.1). */
export const maxPathOctets = 256;
/**
 * RFC 5321 §4.5.3.1.1 asks for at least 64, and to impose no limit where that is possible. Addresses that carry
 * another address in them (VERP) often need more, so the path is the only bound.
 */
export const maxLocalPartOctets = maxPathOctets;
export const maxDomainOctets = 255;
const maxLabelOctets = 63;
const DOT = 46;

/**
 * Reads a whole path: `<mailbox>`, `<>` as `null`, or a mailbox without brackets. Source routes are dropped. Fails,
 * always for good, with 1.3 and what is wrong. No octet under 32 nor 127 or above comes out.
 */
export function parsePath(text: string): Outcome<Path | null> {
  const scanned = scanPath(text, 0);
  if (scanned.kind !== "done") return scanned;
  return scanned.value.end === text.length ? done(scanned.value.path) : bad("something follows the address");
}

export interface ScannedPath {
  readonly path: Path | null;
  /** Where it stops: at the end or at a space. */
  readonly end: number;
  /** As it was written. */
  readonly isAscii: boolean;
}

/** Reads a path that starts at `start` of `text`; with `utf8` as RFC 6531 §3.3 extends it. */
export function scanPath(text: string, start: number, letters: "ascii" | "utf8" = "ascii"): Outcome<ScannedPath> {
  const bracketed = text.charAt(start) === "<";
  const utf8 = letters === "utf8";
  let at = bracketed ? start + 1 : start;
  if (bracketed && text.charAt(at) === ">") return done({ path: null, end: at + 1, isAscii: true });
  if (text.charAt(at) === "@") {
    at = afterSourceRoute(text, at);
    if (at < 0) return bad("malformed source route");
  }
  const local = scanLocalPart(text, at, utf8);
  if (!local) return bad("malformed local part");
  at = local.end;
  let domain = "";
  if (text.charAt(at) === "@") {
    const end = scanDomain(text, at + 1, utf8);
    const written = end < 0 ? undefined : text.slice(at + 1, end);
    const ascii = utf8 && written !== undefined ? asciiDomain(written) : written;
    if (ascii === undefined && !isDoubleBounce(text, start)) return bad("malformed domain");
    domain = ascii === undefined ? "[]" : asciiLowerCase(ascii);
    at = ascii === undefined ? at + 3 : end;
  } else if (asciiLowerCase(local.value) !== "postmaster") return bad("address without a domain");
  if (bracketed && text.charAt(at++) !== ">") return bad("address without its closing bracket");
  if (at < text.length && text.charAt(at) !== " ") return bad("something follows the address");
  if (at - start + (bracketed ? 0 : 2) > maxPathOctets) return bad(`path of more than ${maxPathOctets} octets`);
  return done({ path: { localPart: local.value, domain }, end: at, isAscii: !utf8 || isAscii(text.slice(start, at)) });
}

/** An address as frames and the queue hold it; "" is the empty reverse-path. */
export const addressOf = (path: Path | null): string =>
  path === null ? "" : path.domain === "" ? path.localPart : `${path.localPart}@${path.domain}`;

/** Takes an address apart at its last `@`. Without one the domain is "". Nothing is checked or changed. */
export function splitAddress(address: string): Path {
  const at = address.lastIndexOf("@");
  return at < 0
    ? { localPart: address, domain: "" }
    : { localPart: address.slice(0, at), domain: address.slice(at + 1) };
}

/**
 * An address as it is written into SMTP, Return-Path or a header: the local part quoted where it must be. The caller
 * has made sure that it holds no control characters (`isPrintable`).
 */
export function quoteAddress(address: string): string {
  if (address === "") return "";
  const at = address.lastIndexOf("@");
  const localPart = at < 0 ? address : address.slice(0, at);
  return isDotString(localPart) ? address : quoted(localPart) + address.slice(localPart.length);
}

/** Whether no octet is under 32 nor 127: fit for an envelope. Octets from 128 are, without meaning a character set. */
export function isPrintable(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 32 || code === 127) return false;
  }
  return true;
}

/** An address in frames and in the queue is no longer; a virtual domain's prefix or VERP may add to it on the way out. */
export const maxAddressOctets = 1_000;

/** Whether an address may be queued: printable and not too long. Nothing else is asked of it. */
export const isEnvelopeAddress = (address: string): boolean =>
  address.length <= maxAddressOctets && isPrintable(address);

/**
 * An address from an entrance where nobody asks for SMTPUTF8, in the form that smtpd gives those it takes: octets from 128
 * on are UTF-8, and in the domain A-labels. ASCII comes back as it is. `undefined` for what may not be queued.
 */
export function keptAddress(address: string): string | undefined {
  if (isAscii(address)) return isPrintable(address) ? address : undefined;
  const { localPart, domain } = splitAddress(address);
  const ascii = asciiDomain(domain);
  if (!isUtf8Text(localPart) || ascii === undefined) return undefined;
  return address.includes("@") ? `${localPart}@${ascii}` : localPart;
}

/** Folds A to Z and nothing else. */
export const asciiLowerCase = (text: string): string => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());

const bad = (text: string) => permanent("1.3", text);

/** qmail's sender of double bounces, the only address with an empty literal. */
const isDoubleBounce = (text: string, start: number): boolean =>
  text.startsWith("<#@[]>", start) || (text.startsWith("#@[]", start) && " ".includes(text.charAt(start + 4)));

/** "@" domain *("," "@" domain) ":". Where the mailbox begins, or -1. */
function afterSourceRoute(text: string, start: number): number {
  let at = start;
  for (;;) {
    if (text.charAt(at) !== "@") return -1;
    at = scanDomain(text, at + 1, false);
    if (at < 0) return -1;
    const next = text.charAt(at++);
    if (next === ":") return at;
    if (next !== ",") return -1;
  }
}

interface LocalPart {
  readonly value: string;
  readonly end: number;
}

function scanLocalPart(text: string, start: number, utf8: boolean): LocalPart | undefined {
  if (text.charAt(start) === '"') return scanQuotedString(text, start + 1, utf8);
  const isPart = (code: number): boolean => isAtext(code) || code === DOT || (utf8 && code > 127);
  let end = start;
  while (end < text.length && isPart(text.charCodeAt(end))) end++;
  const value = text.slice(start, end);
  return isDotString(value) ? { value, end } : undefined;
}

function scanQuotedString(text: string, start: number, utf8: boolean): LocalPart | undefined {
  let value = "";
  for (let at = start; at < text.length; at++) {
    if (text.charAt(at) === '"') return isUtf8Text(value) ? { value, end: at + 1 } : undefined;
    if (text.charAt(at) === "\\") at++;
    const code = text.charCodeAt(at);
    if (!(code >= 32 && code < 127) && !(utf8 && code > 127)) return undefined;
    value += text.charAt(at);
  }
  return undefined;
}

/** Where the domain or address literal that starts here ends, or -1. One with other letters is judged by `asciiDomain`. */
function scanDomain(text: string, start: number, utf8: boolean): number {
  const end = text.charAt(start) === "[" ? text.indexOf("]", start) + 1 : endOfLabels(text, start, utf8);
  if (end <= start || end - start > maxDomainOctets) return -1;
  if (text.charAt(start) === "[") return isAddressLiteral(text.slice(start + 1, end - 1)) ? end : -1;
  const domain = text.slice(start, end);
  return (utf8 && !isAscii(domain)) || domain.split(".").every(isLabel) ? end : -1;
}

function endOfLabels(text: string, start: number, utf8: boolean): number {
  const isPart = (code: number): boolean => isLabelOctet(code) || code === DOT || (utf8 && code > 127);
  let end = start;
  while (end < text.length && isPart(text.charCodeAt(end))) end++;
  return end;
}

const isLabel = (label: string): boolean =>
  label !== "" && label.length <= maxLabelOctets && !label.startsWith("-") && !label.endsWith("-");

function isAddressLiteral(text: string): boolean {
  const tagged = asciiLowerCase(text.slice(0, 5)) === "ipv6:";
  const address = tagged ? text.slice(5) : text;
  return address.includes(":") === tagged && parseIp(address) !== undefined;
}

function isDotString(text: string): boolean {
  if (text === "" || text.startsWith(".") || text.endsWith(".") || text.includes("..")) return false;
  let ascii = true;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > 127) ascii = false;
    else if (!isAtext(code) && code !== DOT) return false;
  }
  return ascii || isUtf8Text(text);
}

const quoted = (text: string): string => `"${text.replace(/[\r\n"\\]/g, "\\$&")}"`;

const isLetterOrDigit = (code: number): boolean =>
  (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || (code >= 48 && code <= 57);
/** The underscore is no letter of a host name, but hosts that have one do send mail. */
const isLabelOctet = (code: number): boolean => isLetterOrDigit(code) || code === 45 || code === 95;
/** RFC 5322 §3.2.3. */
const isAtext = (code: number): boolean => isLetterOrDigit(code) || (code < 127 && atextSigns.includes(code));
const atextSigns: readonly number[] = Array.from("!#$%&'*+-/=?^_`{|}~", (sign) => sign.charCodeAt(0));
