import { done, type Outcome, permanent } from "../../protocol/outcome.ts";

export const commands = ["count", "list", "show", "retry", "hold", "release", "delete", "blocked", "open"] as const;
export type CommandName = (typeof commands)[number];

/** Which messages: all that fit every field given. Addresses may be `@domain`. */
export interface Filter {
  readonly ids: readonly number[] | undefined;
  readonly sender: string | undefined;
  readonly recipient: string | undefined;
  readonly destination: string | undefined;
  readonly olderThanS: number | undefined;
}

export interface OperatorRequest {
  readonly command: CommandName;
  readonly filter: Filter;
  /** Messages shown or touched at most; Infinity for all. */
  readonly limit: number;
}

const maxIds = 10_000;

/** Reads one request line, field by field: what is not known is refused, not passed over. */
export function parseRequest(line: string): Outcome<OperatorRequest> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return wrong("the request is not JSON");
  }
  const request = fieldsOf(value, ["command", "filter", "limit"]);
  if (!request) return wrong("the request is not an object of command, filter and limit");
  const command = commands.find((name) => name === request.get("command"));
  if (!command) return wrong(`the command is none of ${commands.join(", ")}`);
  const limit = request.get("limit") ?? Infinity;
  if (limit !== Infinity && !isNumber(limit)) return wrong("limit is not a number");
  const filter = parseFilter(request.get("filter") ?? {});
  return filter.kind === "done" ? done({ command, filter: filter.value, limit }) : filter;
}

function parseFilter(value: unknown): Outcome<Filter> {
  const fields = fieldsOf(value, ["ids", "sender", "recipient", "destination", "olderThanS"]);
  if (!fields) return wrong("filter is not an object of ids, sender, recipient, destination and olderThanS");
  const ids = fields.get("ids");
  if (ids !== undefined && !(Array.isArray(ids) && ids.length <= maxIds && ids.every(isNumber))) {
    return wrong(`filter.ids is not a list of at most ${maxIds} numbers`);
  }
  const olderThanS = fields.get("olderThanS");
  if (olderThanS !== undefined && !isNumber(olderThanS)) return wrong("filter.olderThanS is not a number");
  const texts = new Map<string, string>();
  for (const name of ["sender", "recipient", "destination"]) {
    const text = fields.get(name);
    if (text === undefined) continue;
    if (typeof text !== "string") return wrong(`filter.${name} is not a text`);
    texts.set(name, text.toLowerCase());
  }
  return done({
    ids,
    sender: texts.get("sender"),
    recipient: texts.get("recipient"),
    destination: texts.get("destination"),
    olderThanS,
  });
}

const wrong = (text: string) => permanent("5.4", text);

const isNumber = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

function fieldsOf(value: unknown, known: readonly string[]): ReadonlyMap<string, unknown> | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const fields = new Map<string, unknown>(Object.entries(value));
  return fields.keys().every((name) => known.includes(name)) ? fields : undefined;
}
