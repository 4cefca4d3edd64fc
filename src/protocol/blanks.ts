const isBlank = (octet: number): boolean => octet === 32 || (octet >= 9 && octet <= 13);

/**
 * A text (latin1) without blanks and line ends around it. `String.trim` and `\s` would take octet 160 for one as well,
 * which in UTF-8 is half of many a letter: of "à", for one.
 */
export function trimBlanks(text: string): string {
  let [from, to] = [0, text.length];
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

/** What is between blanks and line ends. */
export const splitAtBlanks = (text: string): readonly string[] => text.split(/[\t-\r ]/).filter((word) => word !== "");
