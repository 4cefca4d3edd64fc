import { fieldAddress } from "../../protocol/bounce/notice.ts";
import { formatDate } from "../../protocol/date.ts";
import { createCompleter } from "../../protocol/header/address-list.ts";
import { type Field, fieldValue, splitMessage } from "../../protocol/header/fields.ts";
import { tokenize } from "../../protocol/header/token.ts";
import { done } from "../../protocol/outcome.ts";
import { readMessage } from "../../services/injection/read-message.ts";
import { handIn } from "./hand-in.ts";
import { type Call, exitDone, fail, misused, needVariables, octets } from "./tool.ts";

/** qreceipt ADDRESS: tells the sender that his message came here, if its header asks for that by this very address. */
export async function qreceipt(call: Call): Promise<number> {
  const [address, ...more] = call.args.map(octets);
  if (address === undefined || more.length > 0) return misused(call, "ADDRESS");
  const variables = needVariables(call, ["SENDER", "DTLINE"]);
  if (variables.kind !== "done") return fail(call, variables);
  const [sender = "", prefix = ""] = variables.value;
  const message = await readMessage(process.stdin);
  if (message.kind !== "done") return fail(call, message);
  const { fields } = splitMessage(message.value);
  if (sender === "" || sender === "#@[]" || !fields.some((field) => asksFor(field, address))) return exitDone;
  const notice = done(Buffer.from(noticeOf(address, sender, fields, Date.now()), "latin1"));
  return await handIn(call, { reversePath: "", forwardPaths: [sender], prefix, message: notice }, exitDone);
}

/** Nothing is added to what the field says: only the whole address counts, in the same case. */
const complete = createCompleter({ defaulthost: "", defaultdomain: "", plusdomain: "+" });

/** Whether a field asks for a notice about `address`. One that cannot be read asks for nothing. */
export function asksFor(field: Field, address: string): boolean {
  if (field.name !== "notice-requested-upon-delivery-to") return false;
  const tokens = tokenize(fieldValue(field));
  return (tokens && complete(tokens)?.addresses.some(({ text }) => text === address)) ?? false;
}

/** The notice, after its Delivered-To line. */
export function noticeOf(address: string, sender: string, fields: readonly Field[], nowMs: number): string {
  const id = fields.find(({ name }) => name === "message-id");
  return `Date: ${formatDate(nowMs)}
From: Delivery notice <${fieldAddress(address)}>
To: <${fieldAddress(sender)}>
Subject: success notice

Hi! This is the qreceipt program. Your message came to this address:
${fieldAddress(address)}. You asked to be told.
${id === undefined ? "" : `Your ${id.text}`}`;
}
