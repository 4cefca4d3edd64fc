const mark = "-@[]";

/** Whether each recipient gets a reverse-path of its own: `list-@host-@[]`. */
export const isVerp = (reversePath: string): boolean =>
  reversePath.endsWith(mark) && reversePath.lastIndexOf("@", reversePath.length - mark.length - 1) >= 0;

/**
 * The reverse-path one recipient gets: of `list-@host-@[]` for `user@domain` it is `list-user=domain@host`; any other
 * stays as it is.
 */
export function expandVerp(reversePath: string, forwardPath: string): string {
  const at = forwardPath.lastIndexOf("@");
  if (at < 0 || !isVerp(reversePath)) return reversePath;
  const plain = stripVerp(reversePath);
  const host = plain.lastIndexOf("@");
  return `${plain.slice(0, host)}${forwardPath.slice(0, at)}=${forwardPath.slice(at + 1)}${plain.slice(host)}`;
}

/** Where a bounce goes: `list-@host` for `list-@host-@[]`. */
export const stripVerp = (reversePath: string): string =>
  isVerp(reversePath) ? reversePath.slice(0, -mark.length) : reversePath;
