import { closeSync, constants, lstatSync, openSync, readdirSync, writeSync } from "node:fs";
import { splitAtBlanks } from "../../protocol/blanks.ts";
import { fieldValue, splitMessage } from "../../protocol/header/fields.ts";
import { readMessage } from "../../services/injection/read-message.ts";
import { type Call, exitDone, octets } from "./tool.ts";

const maxTextOctets = 78;
const ownerExecute = 0o100;
const maxTerminals = 1_000;

/** qbiff: tells the user of a message on every terminal of his that wants it (biff y: owner-execute). Exits 0. */
export async function qbiff({ environment }: Call): Promise<number> {
  const terminals = terminalsOf(process.getuid?.() ?? -1);
  if (terminals.length === 0) return exitDone;
  const message = await readMessage(process.stdin);
  const text = message.kind === "done" ? summaryOf(message.value) : "";
  const [local, sender] = [environment.LOCAL, environment.SENDER].map((value) => printable(octets(value ?? "")));
  const note = Buffer.from(`\r\n*** TO <${local}> FROM <${sender}>\r\n${text}\r\n`, "latin1");
  for (const path of terminals) tell(path, note);
  return exitDone;
}

/** The subject, then the body, as far as there is room. */
export function summaryOf(message: Buffer): string {
  const { fields, body } = splitMessage(message);
  const subject = fields.find(({ name }) => name === "subject");
  const start = body?.toString("latin1", 0, maxTextOctets * 4) ?? "";
  const words = splitAtBlanks(`${subject ? fieldValue(subject) : ""} ${start}`);
  return printable(words.join(" ")).slice(0, maxTextOctets);
}

/** Others write what is shown here: it moves no cursor. */
const printable = (text: string): string => text.replace(/[^ -~]/g, "_");

/** A terminal belongs to who is logged in on it; so nothing else has to be asked. */
function terminalsOf(uid: number): string[] {
  const paths = ["/dev/pts", "/dev"].flatMap((folder) =>
    namesIn(folder)
      .filter((name) => /^(?:[0-9]+|tty[A-Z]*[0-9]+)$/.test(name))
      .map((name) => `${folder}/${name}`),
  );
  return paths.filter((path) => isTerminalOf(path, uid)).slice(0, maxTerminals);
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isTerminalOf(path: string, uid: number): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat?.isCharacterDevice() === true && stat.uid === uid && (stat.mode & ownerExecute) !== 0;
}

/** A terminal that takes nothing now, or is gone by now, misses it. */
function tell(path: string, note: Buffer): void {
  try {
    const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY | constants.O_NOFOLLOW;
    const fd = openSync(path, flags);
    try {
      writeSync(fd, note);
    } finally {
      closeSync(fd);
    }
  } catch {}
}
