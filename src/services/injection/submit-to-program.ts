import { tmpdir } from "node:os";
import { dirname } from "node:path";
import type { Outcome } from "../../protocol/outcome.ts";
import type { Layout } from "../layout/layout.ts";
import type { QmqpRequest } from "../qmqp-client/submit.ts";
import { runQueueProgram } from "../queue-program/run.ts";
import { openSpool } from "../queue-program/spool.ts";
import type { Environment } from "./inject.ts";

/** As long as qmail-queue itself may take. */
const longestProgramMs = 86_400_000;

/** Hands a message to a program as to qmail-queue. The number is that of its process, as it has no other. */
export async function submitToProgram(
  program: string,
  { message, reversePath, forwardPaths }: QmqpRequest,
  environment: Environment,
  layout: Layout,
): Promise<Outcome<number>> {
  const spoolFolder = tmpdir();
  const opened = await openSpool(spoolFolder);
  if (opened.kind !== "done") return opened;
  await using spool = opened.value;
  for (const piece of message) {
    const written = await spool.write(piece);
    if (written.kind !== "done") return written;
  }
  return await runQueueProgram({
    program,
    folder: dirname(layout.control),
    environment,
    message: spool,
    reversePath,
    forwardPaths,
    spoolFolder,
    longestMs: longestProgramMs,
  });
}
