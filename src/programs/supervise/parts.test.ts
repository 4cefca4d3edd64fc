import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { embeddedLayout } from "../../services/layout/layout.ts";
import { readCertificates } from "../../services/tls/read-certificates.ts";
import { findAccounts } from "./accounts.ts";
import { afterDeath } from "./backoff.ts";
import { ageWarnings, firstCertificate, ownFingerprint } from "./certificates.ts";
import { parseCommandLine } from "./command-line.ts";
import { relayComplaints } from "./complaints.ts";
import { nameserversIn } from "./facts.ts";
import { parseListenAddress } from "./listen-address.ts";
import { wallStatus } from "./status.ts";
import { accountNames } from "./walls.ts";

const addresses = [
  { text: "127.0.0.1:25", address: "127.0.0.1", port: 25 },
  { text: "[::]:587", address: "::", port: 587 },
  { text: "[::ffff:192.0.2.1]:0", address: "::ffff:192.0.2.1", port: 0 },
  { text: "127.0.0.1", address: undefined },
  { text: ":25", address: undefined },
  { text: "::1:25", address: undefined },
  { text: "[127.0.0.1]:25", address: undefined },
  { text: "[fe80::1%eth0]:25", address: undefined },
  { text: "localhost:25", address: undefined },
  { text: "127.0.0.1:65536", address: undefined },
  { text: "127.0.0.1:+1", address: undefined },
] as const;

for (const row of addresses) {
  test(`parseListenAddress() ${row.address === undefined ? "refuses" : "takes"} ${row.text}`, () => {
    const parsed = parseListenAddress("smtplisten", row.text);
    if (row.address === undefined) assert.equal(parsed.kind, "permanent");
    else assert.deepEqual(parsed, { kind: "done", value: { address: row.address, port: row.port } });
  });
}

test("afterDeath() starts again at once, then waits twice as long each time, up to 30 s", () => {
  const waits: number[] = [];
  let row = 0;
  for (let death = 0; death < 11; death++) {
    const { deathsInARow, waitMs } = afterDeath(row, 10);
    row = deathsInARow;
    waits.push(waitMs);
  }
  assert.deepEqual(waits, [0, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  assert.deepEqual(afterDeath(10_000, 10), { deathsInARow: 10_001, waitMs: 30_000 });
});

test("afterDeath() forgives after a minute's work", () => {
  assert.deepEqual(afterDeath(9, 60_000), { deathsInARow: 1, waitMs: 0 });
});

const passwd = accountNames.map((name, at) => `${name}:x:${900 + at}:${800 + at}::/var/lib/postern:/bin/false`);

test("findAccounts() finds all of ours", () => {
  const found = findAccounts(["root:x:0:0::/root:/bin/sh", ...passwd, ""].join("\n"));
  assert.equal(found.kind, "done");
  assert.deepEqual(found.value.get("postern-queue"), { uid: 901, gid: 801, home: "/var/lib/postern" });
});

test("findAccounts() names the command for each that is missing", () => {
  const found = findAccounts(passwd.slice(2).join("\n"));
  assert.equal(found.kind, "permanent");
  const lines = found.text.split("\n");
  assert.equal(lines.length, 2);
  assert.match(lines[0] ?? "", /useradd .* postern-smtpd$/);
});

test("findAccounts() refuses root under another name", () => {
  const found = findAccounts([...passwd, "postern-log:x:0:0::/:/bin/sh"].join("\n"));
  assert.equal(found.kind, "permanent");
});

const lines = [
  { name: "nothing", args: [], value: { embedded: false, root: "/" } },
  { name: "--embedded", args: ["--embedded"], value: { embedded: true, root: "/here/var" } },
  {
    name: "all options",
    args: ["--embedded", "--root", "x", "--port-base=0"],
    value: { embedded: true, root: "/here/x", portBase: 0 },
  },
  { name: "-h", args: ["-h"], value: "help" },
  { name: "a port base for the system", args: ["--port-base", "1"], value: undefined },
  { name: "a port base too high", args: ["--embedded", "--port-base", "65449"], value: undefined },
  { name: "an option that is none", args: ["--embeded"], value: undefined },
  { name: "a word", args: ["now"], value: undefined },
] as const;

for (const { name, args, value } of lines) {
  test(`parseCommandLine() ${value === undefined ? "refuses" : "takes"} ${name}`, () => {
    const parsed = parseCommandLine(args, "/here");
    if (value === undefined) assert.equal(parsed.kind, "permanent");
    else assert.deepEqual(parsed, { kind: "done", value });
  });
}

test("nameserversIn() reads resolv.conf", () => {
  const text = "# x\nsearch example.org\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 \nnameserver bad\n";
  assert.deepEqual(nameserversIn(text), ["192.0.2.1", "2001:db8::1"]);
});

test("relayComplaints() bounds lines, their number, and makes them harmless", async () => {
  const stream = new PassThrough();
  const relayed: string[] = [];
  relayComplaints(stream, (line) => relayed.push(line));
  stream.write("\x1b[2Jhel");
  stream.write(`lo\n\n${"x".repeat(5_000)}\n`);
  stream.write("again\n".repeat(1_000));
  stream.end("last");
  await new Promise((resolve) => stream.once("close", resolve));
  assert.equal(relayed[0], "?[2Jhello");
  assert.equal(relayed[1]?.length, 2_000);
  assert.equal(relayed.length, 200);
});

const wall = {
  user: { uid: 900, gid: 901 },
  read: [],
  write: [],
  network: "none",
  ffi: false,
  kernel: "confined",
  limits: { descriptors: 1, heapMiB: 1 },
} as const;
const healthy = {
  Uid: "900\t900\t900\t900",
  Gid: "901\t901\t901\t901",
  Groups: "",
  CapEff: "0000000000000000",
  Seccomp: "2",
  NoNewPrivs: "1",
};
const up = { landlock: 7, seccomp: true };
const observations = [
  { name: "all walls", fields: {}, uid: true, seccomp: true, why: /^$/ },
  {
    name: "a wrong user",
    fields: { Uid: "0\t0\t0\t0" },
    uid: false,
    seccomp: true,
    why: /should be user 900 and is 0/,
  },
  { name: "a group left", fields: { Groups: "27" }, uid: false, seccomp: true, why: /should be user/ },
  { name: "a capability", fields: { CapEff: "0000000000000080" }, uid: false, seccomp: true, why: /capabilities/ },
  { name: "no filter", fields: { Seccomp: "0" }, uid: true, seccomp: false, why: /filter is missing/ },
] as const;

for (const { name, fields, uid, seccomp, why } of observations) {
  test(`wallStatus() sees ${name}`, () => {
    const seen = wallStatus(new Map(Object.entries({ ...healthy, ...fields })), wall, up, false);
    assert.equal(seen.uid, uid);
    assert.equal(seen.seccomp, seccomp);
    assert.equal(seen.landlock, 7);
    assert.match(seen.why ?? "", why);
  });
}

test("firstCertificate() makes one once; its fingerprint is shown, and its end is told of in time", () => {
  const root = mkdtempSync(join(tmpdir(), "postern-parts-"));
  try {
    const layout = embeddedLayout(root);
    const nowMs = Date.UTC(2026, 0, 1);
    const make = () => {
      assert.equal(firstCertificate(layout, "mail.example.org", nowMs).kind, "done");
      const read = readCertificates(layout.tls);
      assert.ok(read.kind === "done");
      return read.value.certificates;
    };
    const made = make();
    assert.deepEqual(make(), made);
    assert.match(ownFingerprint(made) ?? "", /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
    const tenYearsMs = 3_650 * 86_400_000;
    assert.deepEqual(ageWarnings(made, nowMs + tenYearsMs - 8 * 86_400_000), []);
    assert.deepEqual(ageWarnings(made, nowMs + tenYearsMs - 1), ["tls/default: the certificate ends on 2035-12-30"]);
    assert.deepEqual(ageWarnings(made, nowMs + tenYearsMs), ["tls/default: the certificate is over since 2035-12-30"]);
  } finally {
    rmSync(root, { recursive: true });
  }
});
