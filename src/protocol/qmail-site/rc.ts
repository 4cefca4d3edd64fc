/** What `/var/qmail/rc` gives users who have no .qmail file: the argument of qmail-start. */
export type BootStyle =
  | { readonly kind: "lines"; readonly lines: readonly string[] }
  /** It is made by the shell, as from control/defaultdelivery. */
  | { readonly kind: "computed" }
  /** No line starts qmail-start. */
  | { readonly kind: "unknown" };

/** Reads a boot script for the one word behind qmail-start, quoted or not. Comments are passed over. */
export function parseRc(text: string): BootStyle {
  const script = text
    .split("\n")
    .filter((line) => !line.trimStart().startsWith("#"))
    .join("\n");
  const found = script.indexOf("qmail-start");
  if (found < 0) return { kind: "unknown" };
  const rest = script.slice(found + "qmail-start".length).replace(/^(?:[ \t]|\\\n)*/, "");
  const quote = rest.charAt(0);
  const end = quote === "'" || quote === '"' ? rest.indexOf(quote, 1) : rest.search(/[\s;&|]|$/);
  if (end < 0) return { kind: "unknown" };
  const word = quote === "'" || quote === '"' ? rest.slice(1, end) : rest.slice(0, end);
  if (quote !== "'" && /[$`\\]/.test(word)) return { kind: "computed" };
  return { kind: "lines", lines: word.split("\n").filter((line) => line !== "") };
}
