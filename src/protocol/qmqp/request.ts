import { createLengthReader, encodeNetstring, netstringHead, netstringOctets } from "../netstring.ts";

/**
 * QMQP: one message for any number of recipients, with one answer for all of them.
 *
 *   request = netstring( netstring(message) netstring(reverse-path) netstring(forward-path)* )
 *   reply   = netstring( "K" | "Z" | "D", text )
 *
 * The message has LF line ends. Addresses are raw octets, unquoted, the domain after the last `@`.
 */
export const maxMessageOctets = 2 ** 32;
/** An address of this many octets or more is never taken. */
export const addressLimitOctets = 1_000;
export const maxRecipients = 100_000;
const maxRequestOctets = netstringOctets(maxMessageOctets) + (maxRecipients + 1) * netstringOctets(addressLimitOctets);

export type QmqpPart =
  /** Some of the message: a view of the chunk it came in. */
  | { readonly kind: "body"; readonly octets: Buffer }
  | { readonly kind: "reversePath" | "forwardPath"; readonly text: string }
  /** An address longer than an address may be; it was passed over, and the request can only be refused. */
  | { readonly kind: "overlong address" }
  /** The request is complete, and well formed. */
  | { readonly kind: "end" }
  /** No request, or one out of bounds: nothing more can be read from this client. */
  | { readonly kind: "broken"; readonly why: string };

type State = "request length" | "length" | "octets" | "comma" | "last comma" | "ended";

/**
 * Reads one request, chunk by chunk; parts come in wire order. Keeps at most one address between calls. After "end" or
 * "broken" it gives nothing any more, whatever comes.
 */
export function createQmqpReader(): (chunk: Buffer) => readonly QmqpPart[] {
  const readLength = createLengthReader();
  let state: State = "request length";
  let element = 0; // 0 the message, 1 the reverse-path, then the forward-paths
  let left = 0; // octets of the request not read yet
  let need = 0; // octets of this element not read yet
  let fits = true;
  let text = "";

  const atOctet = (octet: number): QmqpPart | undefined => {
    const broken = (why: string): QmqpPart => {
      state = "ended";
      return { kind: "broken", why };
    };
    switch (state) {
      case "request length": {
        const length = readLength(octet, maxRequestOctets);
        if (length === "broken") return broken("not a netstring, or too large");
        if (length === "more") return undefined;
        left = length;
        state = "length";
        return left === 0 ? broken("empty request") : undefined;
      }
      case "length": {
        left--;
        const length = readLength(octet, element === 0 ? maxMessageOctets : left);
        if (length === "broken") return broken("length that is no number, or too large");
        if (length === "more") return left === 0 ? broken("length without an end") : undefined;
        if (length >= left) return broken("length larger than the request");
        need = length;
        text = "";
        fits = element === 0 || length < addressLimitOctets;
        state = need === 0 ? "comma" : "octets";
        return undefined;
      }
      case "comma": {
        left--;
        if (octet !== 0x2c) return broken("comma missing");
        element++;
        if (element > maxRecipients + 2) return broken("too many recipients");
        if (left === 0 && element < 2) return broken("reverse-path missing");
        state = left === 0 ? "last comma" : "length";
        if (element === 1) return undefined;
        if (!fits) return { kind: "overlong address" };
        return { kind: element === 2 ? "reversePath" : "forwardPath", text };
      }
      case "last comma":
        if (octet !== 0x2c) return broken("comma missing");
        state = "ended";
        return { kind: "end" };
      default:
        return undefined;
    }
  };

  return (chunk) => {
    const parts: QmqpPart[] = [];
    let at = 0;
    while (at < chunk.length && state !== "ended") {
      if (state !== "octets") {
        const part = atOctet(chunk.readUInt8(at++));
        if (part) parts.push(part);
        continue;
      }
      const octets = chunk.subarray(at, at + need);
      at += octets.length;
      left -= octets.length;
      need -= octets.length;
      if (element === 0) parts.push({ kind: "body", octets });
      else if (fits) text += octets.toString("latin1");
      if (need === 0) state = "comma";
    }
    return parts;
  };
}

/** What goes before and after the octets of the message to make the request. */
export function frameQmqpRequest(
  messageOctets: number,
  reversePath: string,
  forwardPaths: readonly string[],
): { readonly before: Buffer; readonly after: Buffer } {
  const addresses = Buffer.concat([reversePath, ...forwardPaths].map(encodeNetstring));
  const length = netstringOctets(messageOctets) + addresses.length;
  return {
    before: Buffer.from(netstringHead(length) + netstringHead(messageOctets)),
    after: Buffer.concat([Buffer.from(","), addresses, Buffer.from(",")]),
  };
}
