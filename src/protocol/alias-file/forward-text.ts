import { asciiLowerCase } from "../address.ts";
import { done, type Outcome, permanent } from "../outcome.ts";
import { type Command, commandLetters, type ForwardTable, letterOf } from "./forward-table.ts";

const blanks = " \t\r\n";

/**
 * Reads `name: command, command;`, any number of times: a command is `&address` or an address, `|program`, `<file` or
 * `?owner`; a backslash quotes what follows, `#` at a line's start begins a comment. Fails, for good, at what it is not.
 */
export function parseForwardText(text: string): Outcome<ForwardTable> {
  const table = new Map<string, readonly Command[]>();
  let at = 0;
  let commands: Command[] = [];
  let name: string | undefined;
  while (at < text.length) {
    const character = text.charAt(at);
    if (blanks.includes(character)) at++;
    else if (character === "#" && (at === 0 || text.charAt(at - 1) === "\n")) {
      const end = text.indexOf("\n", at);
      at = end < 0 ? text.length : end;
    } else {
      const word = readWord(text, at, name === undefined ? ":" : ",;");
      const ender = text.charAt(word.end);
      if (ender === "" || (name === undefined && word.value === "")) break;
      at = word.end + 1;
      if (name === undefined) name = asciiLowerCase(word.value);
      else {
        if (word.value !== "") commands.push(commandOf(word.value));
        if (ender === ",") continue;
        table.set(name, commands);
        name = undefined;
        commands = [];
      }
    }
  }
  if (at < text.length || name !== undefined) {
    const line = text.slice(0, at).split("\n").length;
    return permanent("3.5", `line ${line}: not "name: command, command;"`);
  }
  return done(table);
}

function readWord(text: string, from: number, enders: string): { readonly value: string; readonly end: number } {
  let value = "";
  let solid = 0; // octets up to the last that is no blank, or is quoted
  let at = from;
  for (; at < text.length && !enders.includes(text.charAt(at)); at++) {
    const isQuoted = text.charAt(at) === "\\" && at + 1 < text.length;
    if (isQuoted) at++;
    const character = text.charAt(at);
    if (character === "\0") continue; // ends a command in the cdb
    value += character;
    if (isQuoted || !blanks.includes(character)) solid = value.length;
  }
  return { value: value.slice(0, solid), end: at };
}

function commandOf(word: string): Command {
  const kind = commandLetters.get(word.charAt(0));
  return kind === undefined ? { kind: "forward", text: word } : { kind, text: word.slice(1) };
}

/** A table as `parseForwardText` reads it. */
export const writeForwardText = (table: ForwardTable): string =>
  [...table]
    .map(([name, commands]) => {
      const list = commands.map(({ kind, text }) => `${letterOf(kind)}${quoted(text)}`).join(", ");
      return `${quoted(name)}: ${list};\n`;
    })
    .join("");

const quoted = (text: string): string => text.replace(/[\\:,; \t\r\n#]/g, "\\$&");
