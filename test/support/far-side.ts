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

const told = peers.map(() => 0);
setInterval(() => {
  for (const [n, peer] of peers.entries()) {
    for (const message of peer.received.slice(told[n])) console.log(JSON.stringify({ at: addresses[n], ...message }));
    told[n] = peer.received.length;
  }
}, 20);
process.stdin.on("end", () => process.exit(0)).resume();
