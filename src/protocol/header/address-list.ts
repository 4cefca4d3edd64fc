import { type Token, tokenize, writeToken } from "./token.ts";

/** What completes addresses that were written for people of this place. */
export interface Completion {
  /** For addresses without a host. */
  readonly defaulthost: string;
  /** For hosts without a dot; "" leaves them as they are. */
  readonly defaultdomain: string;
  /** For hosts that end in a plus. */
  readonly plusdomain: string;
}

export interface Address {
  /** As the envelope has it, without quotes; "" for `<>`. */
  readonly text: string;
  /** As a header field has it. */
  readonly written: string;
}

export interface AddressList {
  /** The whole list, addresses completed, each apart from the next by a comma. */
  readonly tokens: readonly Token[];
  /** In the order in which they stand. */
  readonly addresses: readonly Address[];
}

/** Completes addresses; `undefined` when it cannot be told where they begin and end. */
export type Completer = (list: readonly Token[]) => AddressList | undefined;

/** The defaults are themselves written like hosts: `a.b` or `[1.2.3.4]`. One that cannot be read stands as it is. */
export function createCompleter(completion: Completion): Completer {
  const hostOf = (text: string): readonly Token[] => tokenize(text) ?? [{ kind: "atom", text }];
  const hosts = {
    defaulthost: hostOf(completion.defaulthost),
    defaultdomain: hostOf(completion.defaultdomain),
    plusdomain: hostOf(completion.plusdomain),
  };
  return (list) => completeList(list, (address) => completeAddress(address, hosts));
}

const wordKinds = new Set(["atom", "quoted", "literal"]);
const isWord = (token: Token | undefined): boolean => token !== undefined && wordKinds.has(token.kind);

function completeList(
  list: readonly Token[],
  complete: (address: readonly Token[]) => readonly Token[],
): AddressList | undefined {
  const tokens: Token[] = [];
  const addresses: Address[] = [];
  let words: Token[] = []; // since the last separator: addresses, or the name of what comes next
  let ended = false; // an address stands there, and needs a comma before the next

  /** A field may hold more words than a call takes arguments. */
  const put = (more: readonly Token[]): void => {
    for (const token of more) tokens.push(token);
  };
  const separate = (): void => {
    if (ended) tokens.push({ kind: "," });
    ended = false;
  };
  const add = (address: readonly Token[]): void => {
    const completed = complete(address);
    put(completed);
    addresses.push({
      text: completed.map(meaningOf).join(""),
      written: completed.map(writeToken).join(""),
    });
  };
  const addWords = (): void => {
    for (const { address, comments } of splitWords(words)) {
      separate();
      if (address.length > 0) add(address);
      put(comments);
      ended = address.length > 0;
    }
    words = [];
  };

  for (let at = 0; at < list.length; at++) {
    const token = list[at];
    if (!token) break;
    switch (token.kind) {
      case "<": {
        const end = findClosing(list, at);
        const within = list.slice(at + 1, end);
        const address = within.filter(({ kind }) => kind !== "comment");
        if (end < 0 || !isOneAddress(address)) return undefined;
        separate();
        put([...words, token]);
        add(address);
        put([{ kind: ">" }, ...within.filter(({ kind }) => kind === "comment")]);
        words = [];
        ended = true;
        at = end;
        break;
      }
      case ">":
        return undefined;
      case ":":
        separate();
        put([...words, token]);
        words = [];
        break;
      case ",":
      case ";":
        addWords();
        tokens.push(token);
        ended = token.kind === ";";
        break;
      case "comment":
        if (ended && words.length === 0) tokens.push(token);
        else words.push(token);
        break;
      default:
        words.push(token);
    }
  }
  addWords();
  return { tokens, addresses };
}

function findClosing(list: readonly Token[], from: number): number {
  for (let at = from; at < list.length; at++) if (list[at]?.kind === ">") return at;
  return -1;
}

/** `a b@c (d)` is two addresses: a new one begins where a word follows a word. */
function splitWords(words: readonly Token[]): { address: Token[]; comments: Token[] }[] {
  const split: { address: Token[]; comments: Token[] }[] = [];
  let current: { address: Token[]; comments: Token[] } | undefined;
  for (const token of words) {
    const begins = !current || (isWord(token) && isWord(current.address.at(-1)));
    if (!current || begins) {
      current = { address: [], comments: [] };
      split.push(current);
    }
    (token.kind === "comment" ? current.comments : current.address).push(token);
  }
  return split;
}

/** Between angle brackets: one address, or a route and an address, or nothing. */
function isOneAddress(tokens: readonly Token[]): boolean {
  const route = routeLength(tokens);
  return tokens.every((token, at) => {
    if (at < route) return token.kind !== "<" && token.kind !== ";";
    if (token.kind === "<" || token.kind === "," || token.kind === ";" || token.kind === ":") return false;
    return at === route || !isWord(token) || !isWord(tokens[at - 1]);
  });
}

/** How many tokens `@a,@b:` takes at the front (RFC 5322 §4.4: to be ignored). */
const routeLength = (tokens: readonly Token[]): number =>
  tokens[0]?.kind === "@" ? tokens.findLastIndex(({ kind }) => kind === ":") + 1 : 0;

type Hosts = { readonly [Name in keyof Completion]: readonly Token[] };

const dot: Token = { kind: "." };

function completeAddress(address: readonly Token[], hosts: Hosts): readonly Token[] {
  const tokens = address.slice(routeLength(address));
  if (tokens.length === 0) return [];
  const lastAt = tokens.findLastIndex(({ kind }) => kind === "@");
  if (lastAt === 0) return [];
  if (lastAt < 0) tokens.push({ kind: "@" });
  if (lastAt < 0 || lastAt === tokens.length - 1) tokens.push(...hosts.defaulthost);
  const host = tokens.slice(tokens.findLastIndex(({ kind }) => kind === "@") + 1);
  if (host.some(({ kind }) => kind === "literal")) return tokens;
  const last = host.at(-1);
  if (last?.kind === "atom" && last.text.endsWith("+")) {
    const text = last.text.slice(0, -1);
    return [...tokens.slice(0, -1), ...(text === "" ? [] : [{ ...last, text }, dot]), ...hosts.plusdomain];
  }
  if (host.some(({ kind }) => kind === ".") || hosts.defaultdomain.length === 0) return tokens;
  return [...tokens, dot, ...hosts.defaultdomain];
}

function meaningOf(token: Token): string {
  if (token.kind === "literal") return `[${token.text}]`;
  return "text" in token ? token.text : token.kind;
}
