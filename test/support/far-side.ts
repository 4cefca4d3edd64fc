/**
 * The rest of the world, in a network namespace of its own: a DNS server on port 53, SMTP servers on port 25 of the
 * addresses given, and whatever faults of the network it is ordered to make. Takes orders and says what happens, a JSON
 * line each. Started by `Far` of wire.ts.
 *
 *   far-side.ts RULES-AS-JSON ADDRESS...
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createServer } from "node:https";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { type DnsRule, startDnsServer } from "./dns-server.ts";
import { type Script, startSmtpPeer } from "./smtp-peer.ts";
import type { Credentials } from "./test-authority.ts";

/**
 * What happens to the packets of one of our addresses. deaf: none arrives; mute: none leaves; "black hole": both; reset:
 * what arrives is answered with RST; lossy: one in five is lost, both ways; "after 40000 octets": none arrives after so many.
 */
export type NetworkFault = "deaf" | "mute" | "black hole" | "reset" | "lossy" | "after 40000 octets";

/** When an SMTP server here, or a client, meets its fault, once. */
export type FaultPoint = "before" | "connect" | "MAIL" | "body" | "end";

export type FarOrder =
  | { readonly order: "rule"; readonly name: string; readonly rule: DnsRule | null }
  | { readonly order: "peer"; readonly address: string; readonly at?: FaultPoint; readonly fault?: NetworkFault }
  /** An SMTP server; with `tls` it offers STARTTLS. */
  | { readonly order: "smtp"; readonly address: string; readonly tls?: Credentials }
  /** A policy of MTA-STS at port 443. */
  | { readonly order: "policy"; readonly address: string; readonly tls: Credentials; readonly text: string }
  | { readonly order: "heal"; readonly address: string }
  | {
      readonly order: "send";
      readonly from: string;
      readonly port: number;
      readonly forwardPath: string;
      readonly octets: number;
      readonly at?: FaultPoint;
      readonly fault?: NetworkFault;
    };

export type FarWord =
  | { readonly say: "begun" }
  | { readonly say: "healed"; readonly address: string }
  /** `digest`: SHA-256 of what follows the header, as on the wire. */
  | {
      readonly say: "taken";
      readonly at: string;
      readonly forwardPaths: readonly string[];
      readonly octets: number;
      readonly digest: string;
    }
  /** What a client heard after its message, or of what was refused before; "" when the connection ended without. */
  | { readonly say: "sent"; readonly from: string; readonly forwardPath: string; readonly reply: string };

const say = (word: FarWord): void => console.log(JSON.stringify(word));
const nft = (...words: string[]): void => void execFileSync("nft", [words.join(" ")]);

const filter = `
table inet postern {
  set is_deaf { type ipv4_addr; }
  set is_mute { type ipv4_addr; }
  set is_reset { type ipv4_addr; }
  set is_lossy { type ipv4_addr; }
  chain arriving {
    type filter hook input priority 0;
    ip daddr @is_deaf drop
    ip daddr @is_reset meta l4proto tcp reject with tcp reset
    ip daddr @is_lossy numgen random mod 5 == 0 drop
  }
  chain bounded { type filter hook input priority 1; }
  chain leaving {
    type filter hook output priority 0;
    ip saddr @is_mute drop
    ip saddr @is_lossy numgen random mod 5 == 0 drop
  }
}`;

/** Whose octets are counted. */
const counted = new Set<string>();

function makeFault(address: string, fault: NetworkFault): void {
  if (fault === "after 40000 octets") {
    counted.add(address);
    nft("add rule inet postern bounded ip daddr", address, "quota over 40000 bytes drop");
    return;
  }
  for (const set of fault === "black hole" ? ["deaf", "mute"] : [fault]) {
    nft("add element inet postern", `is_${set}`, "{", address, "}");
  }
}

function heal(address: string): void {
  if (counted.delete(address)) nft("flush chain inet postern bounded");
  for (const set of ["deaf", "mute", "reset", "lossy"]) {
    nft(`add element inet postern is_${set} { ${address} }; delete element inet postern is_${set} { ${address} }`);
  }
}

/** A server that meets its fault when it first gets to a point. */
function failingAt(point: FaultPoint | undefined, meet: () => void): Script {
  if (point === undefined) return {};
  if (point === "before") {
    meet();
    return {};
  }
  const act = (_: string, count: number) => {
    if (count === 1) meet();
    return undefined;
  };
  return { [point]: act };
}

async function startPeer(address: string, script: Script, tls?: Credentials): Promise<void> {
  const peer = await startSmtpPeer({ address, port: 25, script, ...(tls && { tls }) });
  let told = 0;
  setInterval(() => {
    for (const { forwardPaths, body } of peer.received.slice(told)) {
      const digest = createHash("sha256")
        .update(body.slice(body.indexOf("\r\n\r\n") + 4))
        .digest("hex");
      say({ say: "taken", at: address, forwardPaths, octets: body.length, digest });
    }
    told = peer.received.length;
  }, 20);
}

/** Sends one message to the near host, step by step, and goes on whatever happens to the network meanwhile. */
function send({ from, port, forwardPath, octets, at, fault }: FarOrder & { order: "send" }): void {
  const meet = (point: FaultPoint): void => {
    if (point === at && fault) makeFault(from, fault);
  };
  const line = `${"x".repeat(70)}\r\n`;
  const half = line.repeat(Math.ceil(octets / 2 / line.length));
  const steps: readonly (readonly [FaultPoint | undefined, string])[] = [
    ["connect", "EHLO far.test\r\n"],
    ["MAIL", "MAIL FROM:<client@far.test>\r\n"],
    [undefined, `RCPT TO:<${forwardPath}>\r\n`],
    [undefined, "DATA\r\n"],
    ["body", half],
    ["end", ".\r\n"],
    [undefined, "QUIT\r\n"],
  ];
  meet("before");
  const socket = connect({ host: "10.99.0.1", port, localAddress: from });
  let verdict = "";
  let step = 0;
  const next = (): void => {
    const [point, text] = steps[step++] ?? [undefined, ""];
    if (point !== "body") {
      if (point) meet(point);
      socket.write(text, "latin1");
      return;
    }
    socket.write(`Subject: far\r\n\r\n${half}`, "latin1", () => {
      meet("body");
      socket.write(text, "latin1", next);
    });
  };
  socket.on("data", (chunk) => {
    const reply = chunk.toString("latin1");
    if (!/^\d{3} .*\r\n$/m.test(reply)) return;
    const isVerdict = steps[step - 1]?.[0] === "end" || /^[45]/.test(reply);
    if (isVerdict && verdict === "") verdict = reply.trim();
    next();
  });
  socket.on("error", () => {});
  socket.on("close", () => say({ say: "sent", from, forwardPath, reply: verdict }));
}

function obey(order: FarOrder, rules: Map<string, DnsRule>): void {
  switch (order.order) {
    case "rule":
      if (order.rule) rules.set(order.name, order.rule);
      else rules.delete(order.name);
      return;
    case "peer": {
      const { address, at, fault } = order;
      void startPeer(
        address,
        failingAt(at, () => fault && makeFault(address, fault)),
      );
      return;
    }
    case "smtp":
      void startPeer(order.address, {}, order.tls);
      return;
    case "policy":
      createServer(order.tls, (_, response) => {
        response.writeHead(200, { "content-type": "text/plain" }).end(order.text);
      }).listen(443, order.address);
      return;
    case "heal":
      heal(order.address);
      say({ say: "healed", address: order.address });
      return;
    case "send":
      send(order);
      return;
    default:
      order satisfies never;
  }
}

const [rules = "[]", ...addresses] = process.argv.slice(2);
for (const address of addresses) await startPeer(address, {});
const dns = await startDnsServer(JSON.parse(rules), { address: "10.99.0.2", port: 53 });
const orders = createInterface({ input: process.stdin });
let isFiltered = false;
orders.on("line", (line) => {
  const order = JSON.parse(line) as FarOrder;
  const needsFilter = ["peer", "heal", "send"].includes(order.order);
  if (!isFiltered && needsFilter) nft(filter); // the tool is there where faults are made, and only there
  isFiltered ||= needsFilter;
  obey(order, dns.rules);
});
orders.on("close", () => process.exit(0));
say({ say: "begun" });
