import { createReadStream, fstatSync } from "node:fs";
import type { Outcome } from "../../protocol/outcome.ts";
import { readMessage } from "../../services/injection/read-message.ts";
import { runChild } from "./child.ts";
import { handIn } from "./hand-in.ts";
import { type Call, exitDone, exitStop, exitTemporary, fail, misused, needVariables, octets } from "./tool.ts";

/** condredirect ADDRESS PROGRAM...: if the program exits 0, the message goes to the address, and nowhere else. */
export async function condredirect(call: Call): Promise<number> {
  const [address, ...program] = call.args;
  if (address === undefined || program.length === 0) return misused(call, "ADDRESS PROGRAM ...");
  const variables = needVariables(call, ["SENDER", "DTLINE"]);
  if (variables.kind !== "done") return fail(call, variables);
  const [reversePath = "", prefix = ""] = variables.value;
  // A file can be read twice; what comes by a pipe has to be kept.
  const kept = fstatSync(0).isFile() ? undefined : await readMessage(process.stdin);
  if (kept && kept.kind !== "done") return fail(call, kept);
  const code = await runChild(call, program, kept ? [kept.value] : "ours");
  if (code === exitTemporary) return exitTemporary;
  if (code !== 0) return exitDone;
  const message = kept ?? (await fromTheBeginning());
  return await handIn(call, { reversePath, forwardPaths: [octets(address)], prefix, message }, exitStop);
}

/** The program has read our standard input, and left it at its end. */
const fromTheBeginning = (): Promise<Outcome<Buffer>> =>
  readMessage(createReadStream("", { fd: 0, start: 0, autoClose: false }));
