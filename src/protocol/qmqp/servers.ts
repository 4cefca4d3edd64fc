import { parseRelay, type Relay } from "../mx/route.ts";
import { parseIp } from "../network/network.ts";
import { done, type Outcome, permanent } from "../outcome.ts";

const qmqpPort = 628;

/** Reads the lines of control/qmqpservers: `address` or `address:port`. Fails with all that are neither. */
export function parseQmqpServers(lines: readonly string[]): Outcome<readonly Relay[]> {
  const servers: Relay[] = [];
  const wrong: string[] = [];
  for (const line of lines) {
    const server = parseRelay(line, qmqpPort);
    // Addresses alone: a name would have to be looked up by every inject, on a host that may have no DNS.
    if (server && parseIp(server.host)) servers.push(server);
    else wrong.push(`"${line}" is no address and port`);
  }
  return wrong.length > 0 ? permanent("3.5", wrong.join("\n")) : done(servers);
}
