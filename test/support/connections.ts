import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Server, until } from "./server.ts";

interface Line {
  readonly program: string;
  readonly event: string;
  readonly connection: number;
}

/** Every connection that a program had, more than `least` of them with TLS, has ended by now, and once. */
export async function assertEndedOnce(server: Server, program: string, least: number): Promise<void> {
  let lines: readonly Line[] = [];
  const of = (kind: string): readonly number[] =>
    lines
      .filter((line) => line.program === program && line.event === kind)
      .map(({ connection }) => connection)
      .toSorted((one, other) => one - other);
  await until("all connections to be over", () => {
    const text = readFileSync(join(server.root, "log/current"), "utf8");
    lines = text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line);
    return of("disconnection").length >= of("connection").length;
  });
  assert.ok(of("tls").length > least);
  assert.deepEqual(of("disconnection"), of("connection"));
}
