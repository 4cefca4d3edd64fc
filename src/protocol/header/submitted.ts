/** Values of From and Sender fields longer than this are cut, which `Authorship` tells. */
export const maxFromOctets = 16_384;

/** Who a header says wrote the message (From), or sent it (Sender). */
export interface Authorship {
  /** Such fields in the header as it came. */
  readonly fields: number;
  /** Their values one after the other (latin1), folded as they came. */
  readonly text: string;
  readonly isCut: boolean;
}

/** The header of a submitted message (RFC 6409 §8), while the message passes in chunks. */
export interface SubmittedHeader {
  /** What goes on instead of `body`. */
  take(body: Buffer): Buffer;
  /** The message is over; what is still to go on. */
  end(): Buffer;
  /** Of From, once the header is over. */
  readonly authorship: Authorship | undefined;
  /** Of Sender, likewise. */
  readonly sender: Authorship | undefined;
  /** A CR stands alone in it: others may see another line begin there. */
  readonly hasBareCr: boolean;
}

const LF = 10;
const CR = 13;
const nothing = Buffer.alloc(0);
/** A line has no more before its end (RFC 5322 §2.1.1), so no field a longer name. */
const maxNameOctets = 998;
/** As in fields.ts: blanks before the colon are of old (RFC 5322 §4.5). */
const wholeName = /^([!-9;-~]+)[ \t]*:/;
const partOfName = /^[!-9;-~]*[ \t]*$/;

type Line =
  | { readonly kind: "field"; readonly name: string; readonly octets: number }
  | { readonly kind: "continuation" | "mailbox" | "end" | "text" | "more" };

/** Collects the values of one field. */
function createCollector() {
  let [fields, text, isCut] = [0, "", false];
  return {
    begin: () => void fields++,
    take(part: Buffer): void {
      const room = maxFromOctets - text.length;
      isCut ||= part.length > room;
      text += part.toString("latin1", 0, room);
    },
    result: (): Authorship => ({ fields, text, isCut }),
  };
}

/** A field that is added at the end of a header, if what it says calls for it; "" for none. */
export type LastField = (from: Authorship, sender: Authorship) => string;

/**
 * Adds the fields of `wanted`, by name in lower case, that the header lacks, and what `last` says: at its end, so nothing waits but the name of
 * a field that is not whole yet. The header ends at an empty line or, for the careless, at the first line that is no
 * field, and then gets its empty line: whatever follows is body for everybody. Lines, those of `wanted` too, end in
 * `lineEnd`.
 */
export function createSubmittedHeader(
  wanted: Readonly<Record<string, string>>,
  lineEnd: "\n" | "\r\n" = "\n",
  last: LastField = () => "",
): SubmittedHeader {
  const missing = new Map(Object.entries(wanted));
  let held: Buffer = nothing;
  let isFirst = true;
  let inLine = false;
  const from = createCollector();
  const sender = createCollector();
  let inField: typeof from | undefined;
  let isOver = false;
  let hasBareCr = false;

  const finish = (end: string): Buffer => {
    isOver = true;
    const added = last(from.result(), sender.result());
    return Buffer.from([...missing.values(), added, end].join(""), "latin1");
  };
  const begin = (line: Line): void => {
    inLine = true;
    isFirst = false;
    if (line.kind === "continuation") return;
    if (line.kind === "field") missing.delete(line.name);
    const name = line.kind === "field" ? line.name : "";
    inField = name === "from" ? from : name === "sender" ? sender : undefined;
    inField?.begin();
  };
  /** Up to the end of the line, or all there is; returns how far. A CR that is the last of it may be half an end. */
  const passLine = (input: Buffer, at: number): number => {
    const lineFeed = input.indexOf(LF, at);
    let to = lineFeed < 0 ? input.length : lineFeed + 1;
    if (lineFeed < 0 && input[to - 1] === CR) to--;
    const part = input.subarray(at, to);
    const cr = part.indexOf(CR);
    hasBareCr ||= cr >= 0 && (lineFeed < 0 || cr !== part.length - 2);
    inField?.take(part);
    inLine = lineFeed < 0;
    return to;
  };

  return {
    take(body) {
      if (isOver || body.length === 0) return body;
      const input = held.length === 0 ? body : Buffer.concat([held, body]);
      held = nothing;
      let at = 0;
      while (at < input.length) {
        if (inLine) {
          at = passLine(input, at);
          if (!inLine) continue;
          held = Buffer.from(input.subarray(at));
          return input.subarray(0, at);
        }
        const line = readLine(input, at, isFirst);
        if (line.kind === "more") {
          held = Buffer.from(input.subarray(at));
          return input.subarray(0, at);
        }
        if (line.kind === "end" || line.kind === "text") {
          const added = finish(line.kind === "end" ? "" : lineEnd);
          return Buffer.concat([input.subarray(0, at), added, input.subarray(at)]);
        }
        begin(line);
        if (line.kind === "field") at += line.octets;
      }
      return input;
    },
    end() {
      if (isOver) return nothing;
      const rest = held;
      held = nothing;
      if (inLine) return Buffer.concat([rest, Buffer.from(lineEnd), finish("")]);
      return Buffer.concat([finish(rest.length > 0 ? lineEnd : ""), rest]);
    },
    get authorship() {
      return isOver ? from.result() : undefined;
    },
    get sender() {
      return isOver ? sender.result() : undefined;
    },
    get hasBareCr() {
      return hasBareCr;
    },
  };
}

function readLine(input: Buffer, at: number, isFirst: boolean): Line {
  switch (input[at]) {
    case LF:
      return { kind: "end" };
    case CR:
      if (at + 1 === input.length) return { kind: "more" };
      return { kind: input[at + 1] === LF ? "end" : "text" };
    case 0x20:
    case 0x09:
      return { kind: isFirst ? "text" : "continuation" };
  }
  const text = input.toString("latin1", at, at + maxNameOctets);
  const [whole, name] = wholeName.exec(text) ?? [];
  if (whole !== undefined && name !== undefined) {
    return { kind: "field", name: name.toLowerCase(), octets: whole.length };
  }
  if (text.length < maxNameOctets && partOfName.test(text)) return { kind: "more" };
  // What a mailbox file begins a message with.
  return { kind: isFirst && text.startsWith("From ") ? "mailbox" : "text" };
}
