/** What of a message's file name stays when a reader marks it: all up to the first colon. */
export function baseName(name: string): string {
  const colon = name.indexOf(":");
  return colon < 0 ? name : name.slice(0, colon);
}

/** The message's octets as stored, where the name tells them (`,S=`, as Maildir++ and Dovecot have it). */
export function sizeInName(name: string): number | undefined {
  const at = name.indexOf(",S=");
  if (at < 0) return undefined;
  let size = 0;
  let next = at + 3;
  for (; next < name.length && next < at + 18; next++) {
    const digit = name.charCodeAt(next) - 48;
    if (digit < 0 || digit > 9) break;
    size = size * 10 + digit;
  }
  return next === at + 3 ? undefined : size;
}

/** When it came, in seconds since 1970, where the name begins with that, as the Maildir contract has it. */
export function timeInName(name: string): number | undefined {
  let time = 0;
  let at = 0;
  for (; at < 11; at++) {
    const digit = name.charCodeAt(at) - 48;
    if (!(digit >= 0 && digit <= 9)) break;
    time = time * 10 + digit;
  }
  return at >= 9 && at <= 10 && name[at] === "." ? time : undefined;
}

/** The flags after `:2,`; "" without any. */
export const flagsOf = (name: string): string => /:2,([A-Za-z]*)/.exec(name)?.[1] ?? "";

/** The name with `flag` among its flags, in their order. */
export function withFlag(name: string, flag: string): string {
  const flags = new Set([...flagsOf(name), flag]);
  return `${baseName(name)}:2,${[...flags].sort().join("")}`;
}

const maxUidOctets = 70;

/**
 * A message's unique-id for POP3: its base name, as with qmail, or, where that is not 1 to 70 visible characters (RFC
 * 1939 §7), a digest of it: 1 to 70 such characters that `digest` makes of the octets.
 */
export function uidOf(name: string, digest: (octets: string) => string): string {
  const base = baseName(name);
  if (base.length <= maxUidOctets && /^[!-~]+$/.test(base)) return base;
  return digest(base);
}
