import { trimBlanks } from "../blanks.ts";
import { createCompleter } from "../header/address-list.ts";
import { tokenize } from "../header/token.ts";
import { done, type Outcome, permanent } from "../outcome.ts";

/** What one item of an alias or a .forward file asks for. Text is octets. */
export type Recipient =
  | { readonly kind: "address"; readonly text: string }
  /** `\user`: that user's own mailbox, whatever his files say. */
  | { readonly kind: "mailbox"; readonly text: string }
  | { readonly kind: "program"; readonly text: string }
  | { readonly kind: "file"; readonly text: string }
  | { readonly kind: "include"; readonly text: string };

const include = ":include:";
/** Nothing is added to an address: what has no host gets the server's. */
const complete = createCompleter({ defaulthost: "", defaultdomain: "", plusdomain: "+" });

/**
 * The recipients in a list as sendmail writes them: apart by commas or line ends, but not within quotes, comments or
 * angle brackets. Fails, for good, at one that cannot be read.
 */
export function parseRecipients(list: string): Outcome<readonly Recipient[]> {
  if (list.includes("\0")) return permanent("3.5", "there is a NUL among the recipients");
  const recipients: Recipient[] = [];
  for (const item of splitList(list)) {
    const read = readItem(item);
    if (read === undefined) return permanent("3.5", `cannot read the recipient ${item.slice(0, maxShownOctets)}`);
    for (const recipient of read) recipients.push(recipient);
  }
  return done(recipients);
}

const maxShownOctets = 200;

function readItem(item: string): readonly Recipient[] | undefined {
  const plain = unquoted(item);
  const special = specialKind(plain);
  if (special) {
    const text = trimBlanks(plain.slice(special.length));
    return text === "" ? undefined : [{ kind: special.kind, text }];
  }
  const tokens = tokenize(item);
  const list = tokens && complete(tokens);
  if (!list) return undefined;
  return list.addresses.flatMap(({ text }) => {
    const address = text.endsWith("@") ? text.slice(0, -1) : text;
    return address === "" ? [] : [{ kind: "address", text: address } as const];
  });
}

/** What begins like no address, and how long that beginning is. */
function specialKind(item: string): { readonly kind: Recipient["kind"]; readonly length: number } | undefined {
  if (item.startsWith("|")) return { kind: "program", length: 1 };
  if (item.startsWith("/")) return { kind: "file", length: 0 };
  if (item.startsWith("\\")) return { kind: "mailbox", length: 1 };
  const isInclude = item.slice(0, include.length).toLowerCase() === include;
  return isInclude ? { kind: "include", length: include.length } : undefined;
}

/** An item that is quoted as a whole, as `"|program with, commas"` is, without its quotes. */
function unquoted(item: string): string {
  if (item.length < 2 || !item.startsWith('"') || !item.endsWith('"')) return item;
  return item.slice(1, -1).replace(/\\(.)/gs, "$1");
}

/** The items of a list, without blanks around them; a `#` line is none. Quotes and comments that never end take the rest. */
function splitList(list: string): readonly string[] {
  const items: string[] = [];
  let from = 0;
  let isQuoted = false;
  let depth = 0;
  const end = (at: number): void => {
    const item = trimBlanks(list.slice(from, at));
    if (item !== "" && !item.startsWith("#")) items.push(item);
    from = at + 1;
  };
  for (let at = 0; at < list.length; at++) {
    const character = list.charAt(at);
    if (character === "\\") at++;
    else if (character === '"' && depth === 0) isQuoted = !isQuoted;
    else if (isQuoted) continue;
    else if (character === "(" || character === "<") depth++;
    else if ((character === ")" || character === ">") && depth > 0) depth--;
    else if (character === "\n" || (character === "," && depth === 0 && !isComment(list, from))) {
      depth = 0;
      end(at);
    } else if (character === "#" && trimBlanks(list.slice(from, at)) === "") {
      const lineEnd = list.indexOf("\n", at);
      at = (lineEnd < 0 ? list.length : lineEnd) - 1;
    }
  }
  end(list.length);
  return items;
}

const isComment = (list: string, from: number): boolean => list.charAt(from) === "#";
