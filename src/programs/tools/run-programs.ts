import { programEnd } from "../../protocol/dot-qmail/exit-code.ts";
import { pathOf } from "../../services/maildir/file.ts";
import { runChild } from "./child.ts";
import { type Call, exitPermanent, exitTemporary } from "./tool.ts";

/** Runs shell commands, as octets, one after the other, each with the message; the exit code of the first that fails. */
export async function runPrograms(
  call: Call,
  commands: readonly string[],
  message: Uint8Array,
): Promise<number | undefined> {
  for (const command of commands) {
    const code = await runChild(call, ["/bin/sh", "-c", pathOf(command)], [message]);
    const end = programEnd(code);
    if (end === "permanent") return exitPermanent;
    if (end === "temporary") return exitTemporary;
  }
  return undefined;
}
