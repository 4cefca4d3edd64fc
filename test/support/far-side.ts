/**
 * The rest of the world, in a network namespace of its own: a DNS server on port 53 and SMTP servers on port 25 of the
 * addresses given. Prints a JSON line for each message taken. Run by test/system/far.test.ts.
 *
 *   far-side.ts RULES-AS-JSON ADDRESS...
 */
import { startDnsServer } from "./dns-server.ts";
import { startSmtpPeer } from "./smtp-peer.ts";

const [rules = "[]", ...addresses] = process.argv.slice(2);
const peers = await Promise.all(addresses.map((address) => startSmtpPeer({ address, port: 25 })));
const dns = await startDnsServer(JSON.parse(rules), { address: addresses[0] ?? "", port: 53 });
console.log(JSON.stringify({ dns: dns.address }));

let told = 0;
setInterval(() => {
  const received = peers.flatMap((peer, n) => peer.received.map((message) => ({ at: addresses[n], ...message })));
  for (const message of received.slice(told)) console.log(JSON.stringify(message));
  told = received.length;
}, 20);
process.stdin.on("end", () => process.exit(0)).resume();
