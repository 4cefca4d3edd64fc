import { done, type Outcome, permanent } from "../outcome.ts";
import { createCompleter } from "./address-list.ts";
import type { Authorship } from "./submitted.ts";
import { type Token, tokenize } from "./token.ts";

/** More mailboxes than anybody writes a message together with. */
export const maxAuthors = 20;

const complete = createCompleter({ defaulthost: "", defaultdomain: "", plusdomain: "" });
const refuse = (text: string) => permanent("6.0", text);

/**
 * The addresses in the From field of a header (RFC 5322 §3.6.2), each once; none when there is no such field. What
 * different readers could read differently is refused: two From fields, an address without a host, an @ in a name that
 * belongs to no address.
 */
export const readAuthors = (from: Authorship): Outcome<readonly string[]> => readField(from, "From", maxAuthors);

/** The address in its Sender field, likewise: one, if there is such a field. */
export const readSender = (sender: Authorship): Outcome<readonly string[]> => readField(sender, "Sender", 1);

function readField({ fields, text, isCut }: Authorship, name: string, most: number): Outcome<readonly string[]> {
  if (fields === 0) return done([]);
  if (fields > 1) return refuse(`more than one ${name} field`);
  const tokens = isCut ? undefined : tokenize(text);
  const list = tokens && addressesIn(tokens);
  if (!list) return refuse(`cannot read its ${name} field`);
  const addresses = new Set(list);
  if (addresses.size === 0) return refuse(`its ${name} field names nobody`);
  if (addresses.size > most) return refuse(`its ${name} field has more than ${most} address${most > 1 ? "es" : ""}`);
  return done([...addresses]);
}

function addressesIn(tokens: readonly Token[]): readonly string[] | undefined {
  const ats = tokens.filter(({ kind }) => kind === "@").length;
  // Some write the address where the name should be, `a@b.c <a@b.c>`, and some read it there: both are meant.
  const both = tokens.filter(({ kind }) => kind !== "<" && kind !== ">");
  for (const reading of [tokens, both]) {
    const texts = complete(reading)?.addresses.map(({ text }) => text);
    if (texts?.length === ats && texts.every((text) => /^.+@[^@]+$/.test(text))) return texts;
  }
  return undefined;
}
