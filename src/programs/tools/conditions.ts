import { runChild } from "./child.ts";
import { type Call, exitDone, exitPermanent, exitTemporary, misused } from "./tool.ts";

/** bouncesaying TEXT [PROGRAM...]: bounces with the text if the program exits 0, or if there is none. */
export async function bouncesaying(call: Call): Promise<number> {
  const [text, ...program] = call.args;
  if (text === undefined) return misused(call, "TEXT [PROGRAM ...]");
  const code = program.length === 0 ? 0 : await runChild(call, program, "ours");
  if (code === exitTemporary) return exitTemporary;
  if (code !== 0) return exitDone;
  process.stderr.write(`${text}\n`);
  return exitPermanent;
}

/** except PROGRAM...: exits 100 if the program exits 0, and 0 if it does not; 111 stays 111. */
export async function except(call: Call): Promise<number> {
  if (call.args.length === 0) return misused(call, "PROGRAM ...");
  const code = await runChild(call, call.args, "ours");
  if (code === exitTemporary) return exitTemporary;
  return code === 0 ? exitPermanent : exitDone;
}
