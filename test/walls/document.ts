/** `node test/walls/document.ts`: writes what the walls hold, and the code that has power, into docs/security.md. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { besiege } from "./besiege.ts";
import { renderMatrix } from "./matrix.ts";
import { renderPower } from "./power.ts";

const path = join(import.meta.dirname, "../../docs/security.md");

/** docs/security.md with its generated parts as they should be. */
export function documented(matrix: string): { readonly is: string; readonly shouldBe: string } {
  const is = readFileSync(path, "utf8");
  const shouldBe = part(part(is, "walls", matrix), "power", renderPower());
  return { is, shouldBe };
}

/** Puts `text` between the marks of the generated part `name`. */
function part(page: string, name: string, text: string): string {
  const [begin, end] = [`<!-- generated: ${name} -->`, `<!-- end: ${name} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/security.md has no part "${name}"`);
  return `${page.slice(0, from)}${begin}\n\n${text}\n\n${page.slice(to)}`;
}

if (import.meta.main) {
  const sieges = {
    javascript: await besiege("javascript", { users: "one" }),
    native: await besiege("native", { users: "one" }),
  };
  writeFileSync(path, documented(renderMatrix(sieges)).shouldBe);
}
