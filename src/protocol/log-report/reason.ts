/** Of a reason no more is told. */
const maxReasonOctets = 120;
const maxWords = 24;

/**
 * What a delivery said, in the form of classic lines, as the reason that others share: blanks are blanks again, and
 * what differs each time (addresses, numbers of queues and connections) gives way to a word for it.
 */
export function reasonOf(text: string): string {
  const words = text
    .slice(0, 4 * maxReasonOctets)
    .split(/[_/]/, 4 * maxWords)
    .filter((word) => word !== "")
    .slice(0, maxWords)
    .map(generalised);
  const reason = words.join(" ");
  return reason.length > maxReasonOctets ? `${reason.slice(0, maxReasonOctets - 3)}...` : reason;
}

function generalised(word: string): string {
  const bare = word.replace(/^[<("'[]{1,3}/, "").replace(/[>)"'\],.;:]{1,3}$/, "");
  const kind = kindOf(bare);
  return kind === undefined ? word : word.replace(bare, () => kind);
}

function kindOf(word: string): string | undefined {
  if (word.includes("@")) return "ADDRESS";
  if (/^[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?::[0-9]{1,5})?$/.test(word)) return "IP";
  if (word.includes("::") || word.split(":").length > 4) return /^[0-9a-fA-F:.%]+$/.test(word) ? "IP" : undefined;
  if (/^[0-9]{4,}$/.test(word)) return "NUMBER";
  return word.length >= 8 && /[0-9]/.test(word) && /^[0-9A-Za-z.-]+$/.test(word) && hasManyDigits(word)
    ? "ID"
    : undefined;
}

/** A host name has few digits; what a queue calls a message, many. */
const hasManyDigits = (word: string): boolean => !word.includes(".") && word.replace(/[^0-9]/g, "").length >= 4;
