import { join } from "node:path";
import type { Settings } from "../../protocol/control/table.ts";
import { createClientRules } from "../../protocol/network/client-rules.ts";
import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import { createRules } from "../../protocol/routing/rules.ts";
import type { Client } from "../../services/submission/message-stream.ts";

/** What is to run for a client's message, and in what environment. */
export interface Order {
  /** "" when there is no program for this client. */
  readonly program: string;
  readonly environment: Readonly<Record<string, string>>;
}

export type OrderFor = (client: Client) => Order;

/** With ours first, so that `qmail-queue` needs no path. */
const path = `${join(import.meta.dirname, "../../../bin/qmail")}:/usr/local/bin:/usr/bin:/bin`;

/**
 * What the settings say of each client. The environment is what tcpserver and tcprules give qmail-smtpd, without
 * QMAILQUEUE: mail that the program itself sends must not come back to it. `root` is for `qmail-queue`, to find us.
 */
export function readTerms(settings: Settings, root: string): Outcome<OrderFor> {
  const rulesFor = createRules(settings, []);
  if (rulesFor.kind !== "done") return rulesFor;
  const clientRules = createClientRules(settings.smtprules);
  if (clientRules.kind !== "done") return permanent("3.5", `control/smtprules: ${clientRules.text}`);
  return done(({ address, port, localAddress, localPort }) => {
    const rules = rulesFor.value(address);
    const { QMAILQUEUE = settings.qmailqueue, ...variables } = Object.fromEntries(
      clientRules.value.find(address)?.variables ?? [],
    );
    return {
      program: QMAILQUEUE,
      environment: {
        PATH: path,
        POSTERN_ROOT: root,
        PROTO: "TCP",
        TCPREMOTEIP: address,
        TCPREMOTEPORT: String(port),
        TCPLOCALIP: localAddress,
        TCPLOCALPORT: String(localPort),
        TCPLOCALHOST: settings.me,
        ...(rules !== "denied" && rules.mayRelay && { RELAYCLIENT: rules.relaySuffix }),
        ...variables,
      },
    };
  });
}
