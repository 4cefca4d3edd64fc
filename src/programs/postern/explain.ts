import { parseIp } from "../../protocol/network/network.ts";
import { permanent } from "../../protocol/outcome.ts";
import { findLayout } from "../../services/layout/find-layout.ts";
import { type Command, complain, exitDone, readOptions, say } from "./command.ts";
import { explainAddress, renderExplanation } from "./explain/explanation.ts";

const usage = `usage: postern explain ADDRESS [--from CLIENT] [--sender ADDRESS] [--no-dns] [--json] [--root DIR]

Shows where mail for ADDRESS goes, and why: each rule that is tried, in order, with the file and the line that decides.
Nothing is sent, nobody is connected to; for a remote address its MX records are looked up, unless with --no-dns.
  --from CLIENT     the IP address of the client that sends it (192.0.2.1, a stranger)
  --sender ADDRESS  who sends it (nobody: the empty sender)
Files it may not read it names; as root it sees them all.
Exits 0, 100 when a control file is wrong, 111 when a file cannot be read.`;

export const command: Command = {
  usage,
  async run(args) {
    const options = readOptions(args, {
      from: { type: "string" },
      sender: { type: "string" },
      "no-dns": { type: "boolean" },
      json: { type: "boolean" },
    });
    if (options.kind !== "done") return complain(options, usage);
    const { values, positionals } = options.value;
    const [address, ...more] = positionals;
    if (address === undefined || more.length > 0) return complain(permanent("5.1", "explain which address?"), usage);
    const client = values.from ?? "192.0.2.1";
    if (!parseIp(client)) return complain(permanent("5.1", `--from ${client}: no IP address`), usage);
    const explained = await explainAddress(latin1(address), {
      layout: findLayout(values.root, process.env),
      client,
      sender: latin1(values.sender ?? ""),
      withDns: !values["no-dns"],
    });
    if (explained.kind !== "done") return complain(explained);
    say(values.json ? JSON.stringify(explained.value) : renderExplanation(explained.value));
    return exitDone;
  },
};

const latin1 = (text: string): string => Buffer.from(text).toString("latin1");
