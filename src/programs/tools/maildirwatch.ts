import { setTimeout } from "node:timers/promises";
import { splitAtBlanks } from "../../protocol/blanks.ts";
import { errorWords } from "../../protocol/dot-qmail/error-words.ts";
import { fieldValue, splitMessage } from "../../protocol/header/fields.ts";
import { temporary } from "../../protocol/outcome.ts";
import { errorCode } from "../../services/maildir/file.ts";
import { messagesIn, readHead } from "./maildir-messages.ts";
import { type Call, exitTemporary, fail, needVariables } from "./tool.ts";

const everyMs = 30_000;
const mostShown = 100;
const maxHeadOctets = 65_536;
const clearScreen = "\x1b[H\x1b[2J";

/** maildirwatch: shows the new mail in MAILDIR, again every 30 seconds, until it is ended. */
export async function maildirwatch(call: Call): Promise<number> {
  const variables = needVariables(call, ["MAILDIR"]);
  if (variables.kind !== "done") {
    fail(call, variables);
    return exitTemporary;
  }
  for (;;) {
    try {
      process.stdout.write(clearScreen + newMail(call.environment.MAILDIR ?? ""), "latin1");
    } catch (error) {
      return fail(
        call,
        temporary("3.0", `unable to read ${call.environment.MAILDIR}: ${errorWords(errorCode(error))}`),
      );
    }
    await setTimeout(everyMs);
  }
}

/** Who wrote, and about what: two lines a message, oldest first. Throws the system's error. */
export function newMail(maildir: string): string {
  const messages = messagesIn(maildir, ["new"]);
  const shown = messages.slice(0, mostShown).map(({ path }) => summary(path));
  const more = messages.length - shown.length;
  return `${messages.length} new\n${shown.join("")}${more > 0 ? `and ${more} more\n` : ""}`;
}

function summary(path: string): string {
  const { fields } = splitMessage(readHead(path, maxHeadOctets));
  const shownField = (wanted: string): string => {
    const field = fields.find(({ name }) => name === wanted);
    const words = field ? splitAtBlanks(fieldValue(field)).join(" ") : "";
    return words.replace(/[^ -~]/g, "_").slice(0, 70);
  };
  return `\nFROM ${shownField("from")}\nSUBJ ${shownField("subject")}\n`;
}
