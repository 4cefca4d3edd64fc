import { done, type Outcome, permanent } from "../../../protocol/outcome.ts";

/** A longer line is no password. */
const maxLineOctets = 4_096;

/**
 * A password, octets (latin1): typed twice at a terminal, which does not show it, or the first line of standard input.
 * Never from the command line, where every user of the system can read it.
 */
export async function readSecret(what: string): Promise<Outcome<string>> {
  if (!process.stdin.isTTY) return await firstLine();
  const once = await typed(`${what}: `);
  const again = await typed(`${what} again: `);
  return once === again ? done(once) : permanent("5.1", "these were not the same");
}

async function firstLine(): Promise<Outcome<string>> {
  let text = "";
  for await (const chunk of process.stdin) {
    text += (chunk as Buffer).toString("latin1");
    if (text.includes("\n") || text.length > maxLineOctets) break;
  }
  const line = text.split("\n", 1)[0]?.replace(/\r$/, "") ?? "";
  if (line.length > maxLineOctets) return permanent("5.1", "that line is too long");
  return line === "" ? permanent("5.1", "nothing on standard input") : done(line);
}

const enter = new Set(["\r", "\n"]);
const erase = new Set(["\x7f", "\b"]);
const interrupt = "\x03";

function typed(prompt: string): Promise<string> {
  const { stdin } = process;
  const { promise, resolve } = Promise.withResolvers<string>();
  let characters: string[] = [];
  const take = (chunk: Buffer): void => {
    for (const character of chunk.toString("utf8")) {
      if (character === interrupt) process.exit(130);
      if (erase.has(character)) characters = characters.slice(0, -1);
      else if (!enter.has(character)) characters.push(character);
      else {
        stdin.off("data", take).pause().setRawMode(false);
        process.stderr.write("\n");
        resolve(Buffer.from(characters.join("")).toString("latin1"));
        return;
      }
    }
  };
  process.stderr.write(prompt);
  stdin.setRawMode(true).on("data", take).resume();
  return promise;
}
