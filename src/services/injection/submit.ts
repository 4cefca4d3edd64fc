import { parseControl } from "../../protocol/control/parse.ts";
import type { Completed } from "../../protocol/header/complete.ts";
import type { Relay } from "../../protocol/mx/route.ts";
import { done, type Outcome } from "../../protocol/outcome.ts";
import { parseQmqpServers } from "../../protocol/qmqp/servers.ts";
import { readControlFile } from "../control-folder/control-folder.ts";
import { type Layout, submissionSocket } from "../layout/layout.ts";
import { type QmqpRequest, submitByQmqp, submitToServers } from "../qmqp-client/submit.ts";
import type { Environment } from "./inject.ts";

/**
 * Hands a completed message to the program that QMAILQUEUE names or, without one, in. The words are there when that
 * program has taken it, or when it is on the server's disk.
 */
export async function submit(
  { header, body, ...addresses }: Completed,
  layout: Layout,
  environment: Environment = {},
): Promise<Outcome<string>> {
  const request = { message: [Buffer.from(header, "latin1"), ...(body ? [body] : [])], ...addresses };
  if (!environment.QMAILQUEUE) return await submitMessage(request, layout);
  const { submitToProgram } = await import("./submit-to-program.ts"); // rare, and not small
  const taken = await submitToProgram(environment.QMAILQUEUE, request, environment, layout);
  return taken.kind === "done" ? done(`ok ${Math.floor(Date.now() / 1_000)} qp ${taken.value}`) : taken;
}

/**
 * Hands a message to the server of this host or, with control/qmqpservers, to one of those. The reply is there when it
 * is on the server's disk.
 */
export async function submitMessage(request: QmqpRequest, layout: Layout): Promise<Outcome<string>> {
  const servers = readServers(layout);
  if (servers.kind !== "done") return servers;
  return servers.value.length > 0
    ? await submitToServers(servers.value, request)
    : await submitByQmqp(submissionSocket(layout), request);
}

/** The servers of a host without a queue, none on others. */
function readServers({ control }: Layout): Outcome<readonly Relay[]> {
  const text = readControlFile(control, "qmqpservers");
  if (text.kind !== "done" || text.value === undefined) return text.kind === "done" ? done([]) : text;
  const lines = parseControl("qmqpservers", text.value);
  if (lines.kind !== "done") return lines;
  return parseQmqpServers(Array.isArray(lines.value) ? lines.value.map(String) : []);
}
