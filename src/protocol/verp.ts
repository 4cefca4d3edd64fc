/**
 * What ends the reverse-path of a message whose recipients each get one of their own, and what then stands for the `@`
 * of the recipient: `=` as in qmail, where it is always `-@[]`, or what XVERP asked for.
 */
const marks: ReadonlyMap<string, string> = new Map([
  ["-@[]", "="],
  ["-@[+]", "+"],
  ["-@[-]", "-"],
]);

function markOf(reversePath: string): string | undefined {
  for (const mark of marks.keys()) {
    if (!reversePath.endsWith(mark)) continue;
    if (reversePath.lastIndexOf("@", reversePath.length - mark.length - 1) >= 0) return mark;
  }
  return undefined;
}

/** Whether each recipient gets a reverse-path of its own: `list-@host-@[]`. */
export const isVerp = (reversePath: string): boolean => markOf(reversePath) !== undefined;

/**
 * The reverse-path one recipient gets: of `list-@host-@[]` for `user@domain` it is `list-user=domain@host`; any other
 * stays as it is.
 */
export function expandVerp(reversePath: string, forwardPath: string): string {
  const at = forwardPath.lastIndexOf("@");
  const mark = markOf(reversePath);
  if (at < 0 || mark === undefined) return reversePath;
  const plain = reversePath.slice(0, -mark.length);
  const host = plain.lastIndexOf("@");
  const recipient = `${forwardPath.slice(0, at)}${marks.get(mark)}${forwardPath.slice(at + 1)}`;
  return `${plain.slice(0, host)}${recipient}${plain.slice(host)}`;
}

/** Where a bounce goes: `list-@host` for `list-@host-@[]`. */
export function stripVerp(reversePath: string): string {
  const mark = markOf(reversePath);
  return mark === undefined ? reversePath : reversePath.slice(0, -mark.length);
}

/**
 * The reverse-path for `MAIL FROM:<list@host> XVERP=xy`, x and y from `-+=`: `list@host` with x, marked for y. The
 * reverse-path must have a local part and a domain.
 */
export function markVerp(reversePath: string, [before, within]: VerpDelimiters): string {
  const host = reversePath.lastIndexOf("@");
  return `${reversePath.slice(0, host)}${before}${reversePath.slice(host)}-@[${within === "=" ? "" : within}]`;
}

/**
 * What to say to a server that makes the reverse-paths itself (XVERP): `list@host` and `-=` for `list-@host-@[]`.
 * Undefined where that cannot be said.
 */
export function xverpOf(
  reversePath: string,
): { readonly reversePath: string; readonly delimiters: string } | undefined {
  const mark = markOf(reversePath);
  if (mark === undefined) return undefined;
  const plain = reversePath.slice(0, -mark.length);
  const host = plain.lastIndexOf("@");
  const before = plain.slice(host - 1, host);
  if (host < 2 || !["-", "+", "="].includes(before)) return undefined;
  return { reversePath: `${plain.slice(0, host - 1)}${plain.slice(host)}`, delimiters: `${before}${marks.get(mark)}` };
}

export type VerpDelimiters = readonly [before: string, within: string];
