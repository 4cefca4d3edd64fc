import { createLengthReader, encodeNetstring, netstringHead, netstringOctets } from "../netstring.ts";
import { addressLimitOctets, maxMessageOctets, maxRecipients } from "../qmqp/request.ts";
import { createTextDecoder, type TextFault } from "./text.ts";

/**
 * QMTP: any number of packages on one connection, with one answer for each recipient of each.
 *
 *   package = netstring(message) netstring(reverse-path) netstring( netstring(forward-path)* )
 *   message = LF text, lines end in LF | CR text, lines end in CR LF
 *   answer  = netstring( "K" | "Z" | "D", text )
 *
 * Addresses are raw octets, unquoted, the domain after the last `@`. The bounds are those of QMQP.
 */
const maxListOctets = maxRecipients * netstringOctets(addressLimitOctets);

export type QmtpPart =
  /** Some of the message in the form we store: a view of the chunk it came in. */
  | { readonly kind: "body"; readonly octets: Buffer }
  /** The message cannot be stored. Comes once, and no body after it. */
  | { readonly kind: "unfit"; readonly why: TextFault }
  /** `text` is undefined for an address longer than an address may be: it was passed over. */
  | { readonly kind: "reversePath" | "forwardPath"; readonly text: string | undefined }
  /** The package is complete; the next one may follow. */
  | { readonly kind: "end" }
  /** No package, or one out of bounds: nothing more can be read from this client. */
  | { readonly kind: "broken"; readonly why: string };

const LF = 10;
const CR = 13;
const comma = 0x2c;

/**
 * Reads packages, chunk by chunk; parts come in wire order. Keeps at most one address between calls, and overwrites
 * the chunks. After "broken" it gives nothing any more, whatever comes.
 */
export function createPackageReader(): (chunk: Buffer) => readonly QmtpPart[] {
  const readLength = createLengthReader();
  let element: "message" | "reversePath" | "list" | "forwardPath" = "message";
  let state: "length" | "line end" | "octets" | "comma" | "ended" = "length";
  let decode = createTextDecoder("LF");
  let unfit = false;
  let need = 0; // octets of this element not read yet
  let listLeft = 0; // octets of the list not read yet
  let recipients = 0;
  let text: string | undefined = "";

  const broken = (why: string): QmtpPart => {
    state = "ended";
    return { kind: "broken", why };
  };

  const atLength = (octet: number): QmtpPart | undefined => {
    if (element === "forwardPath") listLeft--;
    const most = {
      message: maxMessageOctets + 1,
      reversePath: maxListOctets,
      list: maxListOctets,
      forwardPath: listLeft,
    };
    const length = readLength(octet, most[element]);
    if (length === "broken") return broken("length that is no number, or too large");
    if (length === "more") {
      return element === "forwardPath" && listLeft === 0 ? broken("length without an end") : undefined;
    }
    need = length;
    text = length < addressLimitOctets ? "" : undefined;
    state = need === 0 ? "comma" : "octets";
    if (element === "message") {
      if (length === 0) return broken("message without its first octet");
      state = "line end";
    } else if (element === "list") {
      listLeft = length;
      recipients = 0;
      need = 0;
      if (length > 0) nextElement("forwardPath");
    } else if (element === "forwardPath" && length >= listLeft) return broken("address longer than the list it is in");
    return undefined;
  };

  const nextElement = (next: typeof element): void => {
    element = next;
    state = "length";
  };

  const atLineEnd = (octet: number): QmtpPart | undefined => {
    if (octet !== LF && octet !== CR) return broken("message that begins with neither LF nor CR");
    decode = createTextDecoder(octet === LF ? "LF" : "CR LF");
    unfit = false;
    need--;
    state = need === 0 ? "comma" : "octets";
    return undefined;
  };

  const atComma = (octet: number): QmtpPart | undefined => {
    if (octet !== comma) return broken("comma missing");
    switch (element) {
      case "message":
        nextElement("reversePath");
        return undefined;
      case "reversePath":
        nextElement("list");
        return { kind: "reversePath", text };
      case "forwardPath":
        if (++recipients > maxRecipients) return broken("too many recipients");
        if (--listLeft > 0) nextElement("forwardPath");
        else element = "list";
        return { kind: "forwardPath", text };
      case "list":
        nextElement("message");
        return { kind: "end" };
      default:
        return element satisfies never;
    }
  };
  const steps = { length: atLength, "line end": atLineEnd, comma: atComma };

  const atOctets = (octets: Buffer): QmtpPart | undefined => {
    need -= octets.length;
    if (need === 0) state = "comma";
    if (element === "forwardPath") listLeft -= octets.length;
    if (element !== "message") {
      if (text !== undefined) text += octets.toString("latin1");
      return undefined;
    }
    if (unfit) return undefined;
    const decoded = decode(octets, need === 0);
    unfit = typeof decoded === "string";
    return typeof decoded === "string" ? { kind: "unfit", why: decoded } : { kind: "body", octets: decoded };
  };

  return (chunk) => {
    const parts: QmtpPart[] = [];
    const add = (part: QmtpPart | undefined): void => void (part && parts.push(part));
    let at = 0;
    while (at < chunk.length && state !== "ended") {
      if (state !== "octets") {
        add(steps[state](chunk.readUInt8(at++)));
        continue;
      }
      const octets = chunk.subarray(at, at + need);
      at += octets.length;
      add(atOctets(octets));
    }
    return parts;
  };
}

/** What goes before and after the octets of a message with LF line ends to make the package. */
export function framePackage(
  messageOctets: number,
  reversePath: string,
  forwardPaths: readonly string[],
): { readonly before: Buffer; readonly after: Buffer } {
  const list = Buffer.concat(forwardPaths.map(encodeNetstring));
  return {
    before: Buffer.from(`${netstringHead(messageOctets + 1)}\n`),
    after: Buffer.concat([
      Buffer.from(","),
      encodeNetstring(reversePath),
      Buffer.from(netstringHead(list.length)),
      list,
      Buffer.from(","),
    ]),
  };
}
