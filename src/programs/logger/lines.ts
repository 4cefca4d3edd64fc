/** Longer lines are dropped: an event that size was not made by our programs. */
export const maxLineOctets = 65_536;

export interface WholeLines {
  /** Any number of complete lines, ends included; views of the chunk where possible. */
  readonly octets: readonly Buffer[];
  readonly dropped: number;
}

/**
 * Cuts what one program sends into whole lines, so that lines of different programs never mix in the file. Looks only
 * for the last line end of a chunk, and at the first line for one begun earlier; keeps less than one line.
 */
export function createLineCutter(): (chunk: Buffer) => WholeLines {
  let kept: Buffer[] = [];
  let keptOctets = 0;
  let overlong = false;
  const keep = (rest: Buffer): void => {
    if (rest.length === 0 || overlong) return;
    kept.push(Buffer.from(rest)); // a copy: the chunk it came in is much larger
    keptOctets += rest.length;
    if (keptOctets < maxLineOctets) return;
    overlong = true;
    kept = [];
  };
  return (chunk) => {
    const first = chunk.indexOf(0x0a) + 1;
    if (first === 0) {
      keep(chunk);
      return { octets: [], dropped: 0 };
    }
    const last = chunk.lastIndexOf(0x0a) + 1;
    const fits = !overlong && keptOctets + first <= maxLineOctets;
    const octets = [...(fits ? kept : []), chunk.subarray(fits ? 0 : first, last)];
    kept = [];
    keptOctets = 0;
    overlong = false;
    keep(chunk.subarray(last));
    return { octets, dropped: fits ? 0 : 1 };
  };
}

/**
 * Marks each line with the program that sent it, as the last member of the JSON object that it should be: whatever else
 * it says of its origin, readers take the last. What cannot be an object is dropped.
 */
export function createStamp(program: string): (lines: WholeLines) => WholeLines {
  const stamp = `,"program":${JSON.stringify(program)}}\n`;
  return ({ octets, dropped }) => {
    const lines = Buffer.concat(octets).toString("latin1").split("\n").slice(0, -1); // one character, one octet
    const objects = lines.filter((line) => line.endsWith("}"));
    const stamped = objects.map((line) => line.slice(0, -1) + stamp).join("");
    return { octets: [Buffer.from(stamped, "latin1")], dropped: dropped + lines.length - objects.length };
  };
}
