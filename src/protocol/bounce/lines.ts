/** Reads a text line by line, from `from` on, without taking it apart at once. */
export interface Lines {
  /** The next line without its LF or CR LF; `undefined` at the end. */
  next(): string | undefined;
  /** Has `next()` give the line it gave last once more. */
  back(): void;
}

export function createLines(text: string): Lines {
  let at = 0;
  let before = 0;
  return {
    next() {
      before = at;
      if (at >= text.length) return undefined;
      const lf = text.indexOf("\n", at);
      const end = lf < 0 ? text.length : lf;
      const start = at;
      at = end + 1;
      return text.slice(start, end > start && text.charAt(end - 1) === "\r" ? end - 1 : end);
    },
    back() {
      at = before;
    },
  };
}

/** No field is longer for us; what is beyond is passed over. */
const maxFieldOctets = 8_192;
const maxFields = 1_000;

/**
 * Reads fields up to an empty line, which is taken, or to a line `stop` names, which is left. Names in lower case,
 * values unfolded; of several with one name the first counts.
 */
export function readFields(lines: Lines, stop: (line: string) => boolean): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  let name = "";
  let value = "";
  const keep = (): void => {
    if (name !== "" && !fields.has(name) && fields.size < maxFields) fields.set(name, value.trim());
    name = "";
  };
  for (let line = lines.next(); line !== undefined && line !== ""; line = lines.next()) {
    if (stop(line)) {
      lines.back();
      break;
    }
    if (line.startsWith(" ") || line.startsWith("\t")) {
      if (value.length < maxFieldOctets) value += ` ${line.trim()}`.slice(0, maxFieldOctets);
      continue;
    }
    keep();
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    name = line.slice(0, colon).trim().toLowerCase();
    value = line.slice(colon + 1, colon + 1 + maxFieldOctets);
  }
  keep();
  return fields;
}
