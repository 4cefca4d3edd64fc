import { headerOctets, maxPayloadOctets, writeHeader } from "./frame.ts";

/**
 * The kinds of field a frame may have. Text is latin1, one character an octet, so that any octets survive.
 * u53 is a u64 on the wire that must be a safe integer. Lists hold at most as much as a frame.
 */
interface FieldValues {
  readonly u8: number;
  readonly u32: number;
  readonly u53: number;
  readonly text: string;
  readonly octets: Uint8Array;
  readonly texts: readonly string[];
  readonly numbers: readonly number[];
}
export type FieldKind = keyof FieldValues;
export type Layout = Readonly<Record<string, FieldKind>>;
export type Fields<L extends Layout> = { readonly [Name in keyof L]: FieldValues[L[Name]] };

export interface FrameKind<L extends Layout> {
  readonly type: number;
  /** The whole frame, header included. Throws RangeError when the payload is over `maxPayloadOctets`. */
  encode(stream: number, fields: Fields<L>): Buffer;
  /** `undefined` when the payload is not exactly this layout: the sender is broken or hostile. */
  decode(payload: Buffer): Fields<L> | undefined;
}

/** Defines a frame by its fields in wire order. */
export function defineFrame<const L extends Layout>(type: number, layout: L): FrameKind<L> {
  const entries = Object.entries(layout);
  return {
    type,
    encode(stream, fields) {
      let length = 0;
      for (const [name, kind] of entries) length += fieldOctets(kind, fields[name]);
      if (length > maxPayloadOctets) throw new RangeError(`frame ${type} of ${length} octets`);
      const octets = Buffer.allocUnsafe(headerOctets + length);
      writeHeader(octets, type, stream, length);
      let at = headerOctets;
      for (const [name, kind] of entries) at = writeField(octets, at, kind, fields[name]);
      return octets;
    },
    decode(payload) {
      const reader = new Reader(payload);
      const fields: Record<string, unknown> = {};
      for (const [name, kind] of entries) fields[name] = reader.field(kind);
      return reader.ended() ? (fields as Fields<L>) : undefined;
    },
  };
}

function fieldOctets(kind: FieldKind, value: unknown): number {
  switch (kind) {
    case "u8":
      return 1;
    case "u32":
      return 4;
    case "u53":
      return 8;
    case "text":
    case "octets":
      return 4 + (value as string | Uint8Array).length;
    case "texts":
      return (value as readonly string[]).reduce((sum, text) => sum + 4 + text.length, 4);
    case "numbers":
      return 4 + 4 * (value as readonly number[]).length;
    default:
      return kind satisfies never;
  }
}

function writeField(octets: Buffer, at: number, kind: FieldKind, value: unknown): number {
  switch (kind) {
    case "u8":
      return octets.writeUInt8(value as number, at);
    case "u32":
      return octets.writeUInt32BE(value as number, at);
    case "u53":
      return octets.writeUInt32BE(
        (value as number) % 2 ** 32,
        octets.writeUInt32BE(Math.floor((value as number) / 2 ** 32), at),
      );
    case "text":
      return writeText(octets, at, value as string);
    case "octets": {
      const bytes = value as Uint8Array;
      octets.set(bytes, octets.writeUInt32BE(bytes.length, at));
      return at + 4 + bytes.length;
    }
    case "texts": {
      const texts = value as readonly string[];
      let next = octets.writeUInt32BE(texts.length, at);
      for (const text of texts) next = writeText(octets, next, text);
      return next;
    }
    case "numbers": {
      const numbers = value as readonly number[];
      let next = octets.writeUInt32BE(numbers.length, at);
      for (const number of numbers) next = octets.writeUInt32BE(number, next);
      return next;
    }
    default:
      return kind satisfies never;
  }
}

function writeText(octets: Buffer, at: number, text: string): number {
  octets.writeUInt32BE(text.length, at);
  return at + 4 + octets.write(text, at + 4, text.length, "latin1");
}

/** Reads fields until one does not fit; from then on it only remembers that. */
class Reader {
  readonly #payload: Buffer;
  #at = 0;
  #broken = false;

  constructor(payload: Buffer) {
    this.#payload = payload;
  }

  ended(): boolean {
    return !this.#broken && this.#at === this.#payload.length;
  }

  field(kind: FieldKind): unknown {
    switch (kind) {
      case "u8":
        return this.#has(1) ? this.#payload.readUInt8(this.#at - 1) : 0;
      case "u32":
        return this.#u32();
      case "u53":
        return this.#u53();
      case "text":
        return this.#octets().toString("latin1");
      case "octets":
        return Buffer.from(this.#octets()); // the payload may be gone after the call
      case "texts":
        return this.#list(4, () => this.#octets().toString("latin1"));
      case "numbers":
        return this.#list(4, () => this.#u32());
      default:
        return kind satisfies never;
    }
  }

  #has(length: number): boolean {
    if (this.#broken || this.#payload.length - this.#at < length) {
      this.#broken = true;
      return false;
    }
    this.#at += length;
    return true;
  }

  #u32(): number {
    return this.#has(4) ? this.#payload.readUInt32BE(this.#at - 4) : 0;
  }

  #u53(): number {
    const value = this.#u32() * 2 ** 32 + this.#u32();
    if (!Number.isSafeInteger(value)) this.#broken = true;
    return this.#broken ? 0 : value;
  }

  #octets(): Buffer {
    const length = this.#u32();
    return this.#has(length) ? this.#payload.subarray(this.#at - length, this.#at) : Buffer.alloc(0);
  }

  /** A count is believed only as far as that many elements could still fit. */
  #list<Element>(leastOctets: number, element: () => Element): Element[] {
    const count = this.#u32();
    if (count * leastOctets > this.#payload.length - this.#at) this.#broken = true;
    const list: Element[] = [];
    for (let n = 0; n < count && !this.#broken; n++) list.push(element());
    return list;
  }
}
