import { done, type Outcome } from "../../protocol/outcome.ts";
import { complete } from "../../services/injection/inject.ts";
import { readMessage } from "../../services/injection/read-message.ts";
import { submit } from "../../services/injection/submit.ts";
import { findLayout } from "../../services/layout/find-layout.ts";
import { type Call, exitDone, fail, misused, octets } from "./tool.ts";

const wishes = { recipientsFrom: "header", arguments: [], reversePath: undefined } as const;

/** mailsubj SUBJECT RECIPIENT...: sends standard input, as qmail-inject would under these two fields. */
export async function mailsubj(call: Call): Promise<number> {
  const [subject, ...recipients] = call.args.map((arg) => octets(arg).replace(/[\r\n]/g, " "));
  if (subject === undefined || recipients.length === 0) return misused(call, "SUBJECT RECIPIENT ...");
  const body = await readMessage(process.stdin);
  if (body.kind !== "done") return fail(call, body);
  const header = Buffer.from(`Subject: ${subject}\nTo: ${recipients.join(" ")}\n\n`, "latin1");
  const sent = await send(Buffer.concat([header, body.value]), call);
  return sent.kind === "done" ? exitDone : fail(call, sent);
}

async function send(message: Buffer, { environment }: Call): Promise<Outcome<void>> {
  const layout = findLayout(undefined, environment);
  const completed = complete(message, wishes, environment, layout);
  if (completed.kind !== "done") return completed;
  const submitted = await submit(completed.value, layout, environment);
  return submitted.kind === "done" ? done(undefined) : submitted;
}
