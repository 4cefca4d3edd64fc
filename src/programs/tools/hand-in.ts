import type { Outcome } from "../../protocol/outcome.ts";
import { submit } from "../../services/injection/submit.ts";
import { findLayout } from "../../services/layout/find-layout.ts";
import { type Call, fail } from "./tool.ts";

/** A message to hand in. Texts are octets. */
export interface Forwarded {
  readonly reversePath: string;
  readonly forwardPaths: readonly string[];
  /** Goes in front of the message: our Delivered-To, by which loops are found. */
  readonly prefix: string;
  readonly message: Outcome<Buffer>;
}

/**
 * Hands a message to the server, and says under which number; `whenDone` or the code of a failure. Killed between the
 * server's word and our exit, it is repeated: forwarding is at least once. Without recipients there is nothing to do.
 */
export async function handIn(call: Call, forwarded: Forwarded, whenDone: number): Promise<number> {
  const { reversePath, forwardPaths, prefix, message } = forwarded;
  if (message.kind !== "done") return fail(call, message);
  if (forwardPaths.length === 0) return whenDone;
  const layout = findLayout(undefined, call.environment);
  const submitted = await submit(
    { header: prefix, body: message.value, reversePath, forwardPaths },
    layout,
    call.environment,
  );
  if (submitted.kind !== "done") return fail(call, submitted);
  const [, number] = / qp ([0-9]{1,20})/.exec(submitted.value) ?? [];
  process.stderr.write(`${call.name}: qp ${number ?? 0}\n`);
  return whenDone;
}
