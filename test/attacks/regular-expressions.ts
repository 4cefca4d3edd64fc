/**
 * Whether a regular expression may take more than linear time on some text: a quantifier without a bound around
 * another (`(a*)*`), alternatives under one that begin alike (`(a|ab)*`), or two such loops over the same characters
 * one after the other (`a*a*$`, and `a*b` where nothing anchors it: the search starts anew at every place).
 *
 * Knows the syntax that the sources use and fails for the rest. Characters are the 256 octets.
 */
export function whySlow(source: string, flags: string): string | undefined {
  const parser = new Parser(source, flags);
  const root = parser.alternatives();
  if (!parser.isAtEnd) return `not understood at ${parser.at}`;
  return slowIn(root, source, flags);
}

type Node =
  | { readonly kind: "set"; readonly octets: ReadonlySet<number> }
  | { readonly kind: "nothing" }
  | { readonly kind: "sequence"; readonly parts: readonly Node[] }
  | { readonly kind: "either"; readonly parts: readonly Node[] }
  | { readonly kind: "many"; readonly of: Node; readonly least: number; readonly most: number };

const all = Array.from({ length: 256 }, (_, octet) => octet);
const only = (keep: (octet: number, character: string) => boolean): ReadonlySet<number> =>
  new Set(all.filter((octet) => keep(octet, String.fromCharCode(octet))));
const classes: ReadonlyMap<string, ReadonlySet<number>> = new Map([
  ["d", only((_, c) => c >= "0" && c <= "9")],
  ["w", only((_, c) => (c >= "0" && c <= "9") || (c >= "a" && c <= "z") || (c >= "A" && c <= "Z") || c === "_")],
  ["s", only((octet) => [9, 10, 11, 12, 13, 32, 160].includes(octet))],
]);
const escapes: ReadonlyMap<string, number> = new Map([
  ["n", 10],
  ["r", 13],
  ["t", 9],
  ["v", 11],
  ["f", 12],
  ["0", 0],
]);

class Parser {
  at = 0;
  readonly #source: string;
  readonly #ignoresCase: boolean;
  constructor(source: string, flags: string) {
    this.#source = source;
    this.#ignoresCase = flags.includes("i");
  }
  get isAtEnd(): boolean {
    return this.at === this.#source.length;
  }
  #take(text: string): boolean {
    if (!this.#source.startsWith(text, this.at)) return false;
    this.at += text.length;
    return true;
  }
  alternatives(): Node {
    const parts = [this.#sequence()];
    while (this.#take("|")) parts.push(this.#sequence());
    return parts.length === 1 && parts[0] ? parts[0] : { kind: "either", parts };
  }
  #sequence(): Node {
    const parts: Node[] = [];
    while (!this.isAtEnd && !"|)".includes(this.#source.charAt(this.at))) parts.push(this.#quantified());
    return { kind: "sequence", parts };
  }
  #quantified(): Node {
    const of = this.#atom();
    const bounds = /^(?:[*+?]|\{\d+(?:,\d*)?\})/.exec(this.#source.slice(this.at))?.[0];
    if (bounds === undefined) return of;
    this.at += bounds.length;
    this.#take("?");
    if (bounds === "*") return { kind: "many", of, least: 0, most: Number.POSITIVE_INFINITY };
    if (bounds === "+") return { kind: "many", of, least: 1, most: Number.POSITIVE_INFINITY };
    if (bounds === "?") return { kind: "many", of, least: 0, most: 1 };
    const [least = "", most] = bounds.slice(1, -1).split(",");
    const upper = most === undefined ? Number(least) : most === "" ? Number.POSITIVE_INFINITY : Number(most);
    return { kind: "many", of, least: Number(least), most: upper };
  }
  #atom(): Node {
    for (const look of ["(?=", "(?!", "(?<=", "(?<!"]) {
      if (!this.#take(look)) continue;
      this.alternatives();
      this.#close();
      return { kind: "nothing" };
    }
    if (this.#take("(?:") || this.#take("(")) {
      const inside = this.alternatives();
      this.#close();
      return inside;
    }
    if (this.#take("^") || this.#take("$")) return { kind: "nothing" };
    if (this.#take(".")) return { kind: "set", octets: only((octet) => octet !== 10 && octet !== 13) };
    if (this.#take("[")) return { kind: "set", octets: this.#class() };
    return { kind: "set", octets: this.#folded(this.#character()) };
  }
  #close(): void {
    if (!this.#take(")")) throw new Error(`no end of a group in ${this.#source}`);
  }
  #folded(octets: ReadonlySet<number>): ReadonlySet<number> {
    if (!this.#ignoresCase) return octets;
    const cases = [...octets].flatMap((octet) => {
      const character = String.fromCharCode(octet);
      return [character.toLowerCase().charCodeAt(0), character.toUpperCase().charCodeAt(0)];
    });
    return new Set(cases);
  }
  #class(): ReadonlySet<number> {
    const isNegative = this.#take("^");
    const octets = new Set<number>();
    while (!this.#take("]")) {
      const first = this.#character();
      const [from] = first;
      if (
        first.size === 1 &&
        from !== undefined &&
        this.#source[this.at] === "-" &&
        this.#source[this.at + 1] !== "]"
      ) {
        this.at++;
        const [to = from] = this.#character();
        for (let octet = from; octet <= Math.min(to, 255); octet++) octets.add(octet);
      } else for (const octet of first) octets.add(octet);
    }
    return isNegative ? only((octet) => !octets.has(octet)) : this.#folded(octets);
  }
  #character(): ReadonlySet<number> {
    const character = this.#source.charAt(this.at++);
    if (character !== "\\") return new Set([character.charCodeAt(0)]);
    const escaped = this.#source.charAt(this.at++);
    const named = classes.get(escaped);
    if (named) return named;
    const opposite = classes.get(escaped.toLowerCase());
    if (opposite) return only((octet) => !opposite.has(octet));
    const digits = escaped === "x" ? 2 : escaped === "u" ? 4 : 0;
    if (digits === 0) return new Set([escapes.get(escaped) ?? escaped.charCodeAt(0)]);
    this.at += digits;
    return new Set([Number.parseInt(this.#source.slice(this.at - digits, this.at), 16)]);
  }
}

const isEndless = (node: Node): node is Node & { kind: "many" } =>
  node.kind === "many" && node.most === Number.POSITIVE_INFINITY;

function hasEndless(node: Node): boolean {
  if (node.kind === "many") return isEndless(node) || hasEndless(node.of);
  return "parts" in node && node.parts.some(hasEndless);
}

const mayBeEmpty = (node: Node): boolean => {
  if (node.kind === "nothing") return true;
  if (node.kind === "set") return false;
  if (node.kind === "many") return node.least === 0 || mayBeEmpty(node.of);
  return node.kind === "either" ? node.parts.some(mayBeEmpty) : node.parts.every(mayBeEmpty);
};

/** The octets it may begin with. */
function firstOctets(node: Node): ReadonlySet<number> {
  if (node.kind === "set") return node.octets;
  if (node.kind === "nothing") return new Set();
  if (node.kind === "many") return firstOctets(node.of);
  const octets = new Set<number>();
  for (const part of node.parts) {
    for (const octet of firstOctets(part)) octets.add(octet);
    if (node.kind === "sequence" && !mayBeEmpty(part)) break;
  }
  return octets;
}

const meet = (one: ReadonlySet<number>, other: ReadonlySet<number>): boolean => !one.isDisjointFrom(other);

function slowIn(node: Node, source: string, flags: string): string | undefined {
  const inside = slowWithin(node);
  if (inside) return inside;
  const isAnchored = source.startsWith("^") && !flags.includes("m");
  const parts = node.kind === "sequence" ? node.parts : [node];
  const [first, ...rest] = parts;
  const mayFailLater = rest.length > 0;
  return !isAnchored && first && isEndless(first) && mayFailLater
    ? "a loop at its beginning, which nothing anchors"
    : undefined;
}

function slowWithin(node: Node): string | undefined {
  if (isEndless(node)) {
    if (hasEndless(node.of)) return "a loop around a loop";
    const parts = node.of.kind === "either" ? node.of.parts : [];
    for (const [at, part] of parts.entries()) {
      const others = parts.slice(at + 1);
      if (others.some((other) => meet(firstOctets(part), firstOctets(other))))
        return "alternatives that begin alike, in a loop";
    }
  }
  if (node.kind === "many") return slowWithin(node.of);
  if (!("parts" in node)) return undefined;
  for (const part of node.parts) {
    const slow = slowWithin(part);
    if (slow) return slow;
  }
  return node.kind === "sequence" ? neighbours(node.parts) : undefined;
}

/** Two loops over the same octets with nothing that must stand between. */
function neighbours(parts: readonly Node[]): string | undefined {
  for (const [at, part] of parts.entries()) {
    if (!isEndless(part)) continue;
    for (const next of parts.slice(at + 1)) {
      if (isEndless(next) && meet(firstOctets(part), firstOctets(next))) return "two loops that share characters";
      if (!mayBeEmpty(next)) break;
    }
  }
  return undefined;
}
