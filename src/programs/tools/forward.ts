import { readMessage } from "../../services/injection/read-message.ts";
import { handIn } from "./hand-in.ts";
import { type Call, exitDone, fail, needVariables, octets } from "./tool.ts";

/** forward ADDRESS...: the message goes to these addresses too, as it is, from NEWSENDER. */
export async function forward(call: Call): Promise<number> {
  const variables = needVariables(call, ["NEWSENDER", "DTLINE"]);
  if (variables.kind !== "done") return fail(call, variables);
  const [reversePath = "", prefix = ""] = variables.value;
  const message = await readMessage(process.stdin);
  return await handIn(call, { reversePath, forwardPaths: call.args.map(octets), prefix, message }, exitDone);
}
