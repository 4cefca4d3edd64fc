import { isUtf8Text } from "../utf8.ts";

/**
 * The words of a structured header field (RFC 5322 §3.2). Text is what the word means: quotes and backslashes undone.
 * A comment's is what stood between its parentheses, as it stood.
 */
export type Token =
  | { readonly kind: "atom" | "quoted" | "literal" | "comment"; readonly text: string }
  | { readonly kind: Special };

const specials = ["<", ">", "@", ",", ";", ":", "."] as const;
type Special = (typeof specials)[number];
const specialOf = new Map<string, Special>(specials.map((special) => [special, special]));
const blanks = " \t\r\n";
/** A backslash is none of them: within an atom it quotes the next character. */
const atomEnds = `${blanks}()<>@,;:".[]\0`;

/** The words of a text, or `undefined` when quotes, comments or brackets do not match. */
export function tokenize(text: string): Token[] | undefined {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const character = text.charAt(at);
    const special = specialOf.get(character);
    if (special) tokens.push({ kind: special });
    if (special || blanks.includes(character)) {
      at++;
      continue;
    }
    const word = readWord(text, at);
    if (!word) return undefined;
    tokens.push(word.token);
    at = word.end;
  }
  return tokens;
}

interface Word {
  readonly token: Token;
  readonly end: number;
}

function readWord(text: string, at: number): Word | undefined {
  switch (text.charAt(at)) {
    case '"':
      return readEnclosed(text, at, "quoted", '"');
    case "[":
      return readEnclosed(text, at, "literal", "]");
    case "(":
      return readComment(text, at);
    case ")":
    case "]":
    case "\0":
      return undefined;
    default:
      return readAtom(text, at);
  }
}

function readEnclosed(text: string, from: number, kind: "quoted" | "literal", last: string): Word | undefined {
  let meaning = "";
  for (let at = from + 1; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === last) return { token: { kind, text: meaning }, end: at + 1 };
    if (character === "\\") {
      if (!isQuotable(text, ++at)) return undefined;
      meaning += text.charAt(at);
    } else if (character !== "\n" && character !== "\r") meaning += character;
  }
  return undefined;
}

/** A backslash before a line end, or before nothing, quotes nothing we would want to pass on. */
const isQuotable = (text: string, at: number): boolean => at < text.length && !"\r\n".includes(text.charAt(at));

function readComment(text: string, from: number): Word | undefined {
  let depth = 0;
  let kept = "";
  for (let at = from; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === "(") depth++;
    if (character === ")") depth--;
    if (depth === 0) return { token: { kind: "comment", text: kept.slice(1) }, end: at + 1 };
    if (character !== "\n" && character !== "\r") kept += character;
    if (character !== "\\") continue;
    if (!isQuotable(text, ++at)) return undefined;
    kept += text.charAt(at);
  }
  return undefined;
}

function readAtom(text: string, from: number): Word | undefined {
  let meaning = "";
  let at = from;
  for (; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === "\\") {
      if (!isQuotable(text, ++at)) return undefined;
      meaning += text.charAt(at);
    } else if (atomEnds.includes(character)) break;
    else meaning += character;
  }
  return { token: { kind: "atom", text: meaning }, end: at };
}

const isWord = ({ kind }: Token): boolean =>
  kind === "atom" || kind === "quoted" || kind === "literal" || kind === "comment";

/** Whether a blank goes between two tokens: between words, after `,` and `:`, before `<`. */
const apart = (left: Token, right: Token): boolean =>
  left.kind === ":" || left.kind === "," || right.kind === "<" || (isWord(left) && isWord(right));

/** A token as a header field may hold it: what could be misread comes out in quotes. */
export function writeToken(token: Token): string {
  switch (token.kind) {
    case "atom":
      return isPlainAtom(token.text) ? token.text : quote(token.text);
    case "quoted":
      return quote(token.text);
    case "literal":
      return `[${backslashed(inOneLine(token.text), "[]\\")}]`;
    case "comment":
      return `(${inOneLine(token.text)})`;
    default:
      return token.kind;
  }
}

const quote = (text: string): string => `"${backslashed(inOneLine(text), '"\\')}"`;

/** A backslash does not keep a line end from beginning another field: a name or host with one must not bring one in. */
const inOneLine = (text: string): string => text.replace(/[\r\n]/g, " ");

function backslashed(text: string, dangerous: string): string {
  let safe = "";
  for (const character of text) safe += dangerous.includes(character) ? `\\${character}` : character;
  return safe;
}

/** UTF-8 may stand in an atom (RFC 6532 §3.2): a domain must not be quoted. */
function isPlainAtom(text: string): boolean {
  let ascii = true;
  for (let at = 0; at < text.length; at++) {
    const octet = text.charCodeAt(at);
    if (octet > 127) ascii = false;
    else if (octet <= 32 || octet === 127 || octet === 0x5c || atomEnds.includes(text.charAt(at))) return false;
  }
  return text.length > 0 && (ascii || isUtf8Text(text));
}

/**
 * Tokens as the text of a field, its line end included. A line that would pass `mostColumns` goes on in the next one
 * after a comma, two blanks in.
 */
export function writeField(tokens: readonly Token[], mostColumns: number): string {
  const lines: string[] = [];
  let line = "";
  let piece = ""; // up to its comma: never broken
  const place = (): void => {
    if (line !== "" && line.length + 1 + piece.length > mostColumns) {
      lines.push(line);
      line = `  ${piece}`;
    } else line += line === "" ? piece : ` ${piece}`;
    piece = "";
  };
  for (const [at, token] of tokens.entries()) {
    const before = tokens[at - 1];
    if (piece !== "" && before && apart(before, token)) piece += " ";
    piece += writeToken(token);
    if (token.kind === ",") place();
  }
  if (piece !== "") place();
  return `${[...lines, line].join("\n")}\n`;
}
