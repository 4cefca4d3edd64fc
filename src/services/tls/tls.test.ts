import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { readSettings } from "../../protocol/control/parse.ts";
import { type CertificateFiles, isHostName, readCertificate } from "./certificate.ts";
import { type Contexts, createContexts } from "./contexts.ts";
import { keepingOld, readCertificates } from "./read-certificates.ts";
import { makeSelfSigned, writeSelfSigned } from "./self-signed.ts";
import { secureServer, type TlsSession } from "./server.ts";

const nowMs = Date.now();
const certificate = (name: string, names: readonly string[]): CertificateFiles => ({
  name,
  ...makeSelfSigned(names, nowMs),
});
const settingsWith = (files: Readonly<Record<string, string>>) => {
  const settings = readSettings(new Map(Object.entries({ me: "mail.example.org", ...files })));
  if (settings.kind !== "done") throw new Error(settings.text);
  return settings.value;
};
const settings = settingsWith({});

test("makeSelfSigned() makes what OpenSSL reads, for every name and address, and what the key belongs to", () => {
  const { chain, key } = makeSelfSigned(["mail.example.org", "localhost", "127.0.0.1", "::1"], nowMs);
  const made = new X509Certificate(chain);
  assert.equal(made.subject, "CN=mail.example.org");
  assert.ok(made.checkIssued(made) && made.verify(made.publicKey));
  assert.equal(made.ca, false);
  assert.equal(made.checkHost("localhost"), "localhost");
  assert.equal(made.checkIP("127.0.0.1"), "127.0.0.1");
  assert.equal(made.checkIP("::1"), "::1");
  assert.equal(made.checkHost("example.org"), undefined);
  assert.ok(Date.parse(made.validFrom) < nowMs && Date.parse(made.validTo) > nowMs + 3_600 * 86_400_000);
  const facts = readCertificate({ name: "x", chain, key });
  assert.deepEqual(facts.kind === "done" && facts.value.names, ["mail.example.org", "localhost"]);
  assert.notEqual(made.serialNumber, new X509Certificate(makeSelfSigned(["a"], nowMs).chain).serialNumber);
});

for (const [name, expected] of [
  ["mail.example.org", true],
  ["*.example.org", true],
  ["_dmarc.example.org", true],
  ["a.*.example.org", false],
  ["*", false],
  ["", false],
  ["-a.example", false],
  ["a..example", false],
  ["a.example.", false],
  ["a b.example", false],
  ["a.example\0", false],
  ["m\xe4il.example", false],
  [`${"a".repeat(64)}.example`, false],
  [`${"a.".repeat(127)}a`, false],
] as const) {
  test(`isHostName() says ${expected} of ${JSON.stringify(name.slice(0, 40))}`, () =>
    assert.equal(isHostName(name), expected));
}

const good = certificate("a", ["a.example"]);
for (const [what, files, text] of [
  ["a certificate that is none", { ...good, chain: "x" }, "tls/a: what should be a certificate cannot be read"],
  [
    "a key that is none",
    { ...good, key: "x" },
    "tls/a: what should be a private key, without a password, cannot be read",
  ],
  [
    "another's key",
    { ...good, key: certificate("b", ["b"]).key },
    "tls/a: the private key does not belong to the certificate",
  ],
] as const) {
  test(`readCertificate() refuses ${what}`, () => {
    const read = readCertificate(files);
    assert.equal(read.kind === "permanent" && read.text, text);
  });
}

test("createContexts() says what is wrong with the ciphers, and makes nothing of no certificates", () => {
  const made = createContexts([good], settingsWith({ tlsciphers: "NO-SUCH-CIPHER" }));
  assert.equal(made.kind === "permanent" && made.text, "control/tlsciphers: none of them is known here");
  assert.deepEqual(createContexts([], settings), { kind: "done", value: undefined });
});

test("readCertificates() reads folders and links, names what is broken, and the old one stays in its place", () => {
  const folder = mkdtempSync(join(tmpdir(), "postern-tls-"));
  try {
    assert.deepEqual(readCertificates(join(folder, "none")), { kind: "done", value: { certificates: [], faults: [] } });
    assert.equal(writeSelfSigned(join(folder, "live/b"), ["b.example"], nowMs).kind, "done");
    const tls = join(folder, "tls");
    assert.equal(writeSelfSigned(join(tls, "a"), ["a.example"], nowMs).kind, "done");
    symlinkSync("../live/b", join(tls, "b"));
    mkdirSync(join(tls, ".git"));
    writeFileSync(join(tls, "README"), "no folder");
    const before = readCertificates(tls);
    assert.ok(before.kind === "done");
    assert.deepEqual(
      before.value.certificates.map(({ name }) => name),
      ["a", "b"],
    );
    assert.deepEqual(before.value.faults, []);

    writeFileSync(join(tls, "a/privkey.pem"), "half a");
    mkdirSync(join(tls, "c"));
    rmSync(join(tls, "b"));
    const after = readCertificates(tls);
    assert.ok(after.kind === "done");
    assert.deepEqual(after.value.certificates, []);
    assert.deepEqual(after.value.faults, [
      "tls/a: what should be a private key, without a password, cannot be read",
      `tls/c: cannot read ${join(tls, "c/fullchain.pem")}: no such file or directory`,
    ]);
    assert.deepEqual(
      keepingOld(after.value, before.value.certificates).map(({ name }) => name),
      ["a"],
    );

    writeFileSync(join(tls, "c/fullchain.pem"), Buffer.alloc(65_537));
    const big = readCertificates(tls);
    assert.match(String(big.kind === "done" && big.value.faults[1]), /no file of at most 65536 octets/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

interface Met {
  /** The common name that the client was shown, or why it was shown none. */
  readonly shown: string;
  readonly session: TlsSession | undefined;
  readonly failure: string | undefined;
  /** The channel binding, as the client and as the server have it. */
  readonly exporter?: Buffer | undefined;
  readonly binding?: Buffer | undefined;
  /** In TLS 1.2: what the client may come back with, and whether what it came with was taken. */
  readonly ticket?: Buffer | undefined;
  readonly isResumed?: boolean;
}

/** One handshake over loopback. */
async function meet(contexts: Contexts, options: ConnectionOptions, speak?: (socket: Socket) => void): Promise<Met> {
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const outcome = Promise.withResolvers<{ session?: TlsSession; failure?: string }>();
  let secured: Socket | undefined;
  server.once("connection", (socket: Socket) => {
    secured = secureServer(socket, contexts, {
      onSecure: (session) => outcome.resolve({ session }),
      onFailure: (failure) => outcome.resolve({ failure }),
    });
  });
  if (speak) {
    const socket = connectTcp(address.port, "127.0.0.1");
    socket.on("error", () => {});
    await once(socket, "connect");
    speak(socket);
    const { session, failure } = await outcome.promise;
    socket.destroy();
    server.close();
    return { shown: "", session, failure };
  }
  const client = connect({ port: address.port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  const shown = Promise.withResolvers<string>();
  client.on("secureConnect", () => shown.resolve(String(client.getPeerCertificate().subject?.CN)));
  client.on("error", (error) => shown.resolve((error as NodeJS.ErrnoException).code ?? error.message));
  const name = await shown.promise;
  const { session, failure } = await outcome.promise;
  const exporter = session && client.exportKeyingMaterial(32, "EXPORTER-Channel-Binding", Buffer.alloc(0));
  const binding = session?.exporter();
  secured?.destroy();
  const resumption = { ticket: client.getSession(), isResumed: client.isSessionReused() };
  client.destroy();
  server.close();
  return { shown: name, session, failure, exporter, binding, ...resumption };
}

const made = createContexts(
  [
    certificate("default", ["default.example"]),
    certificate("one", ["one.example", "shared.example"]),
    certificate("two", ["two.example", "shared.example"]),
    certificate("wild", ["wild.example", "*.wild.example"]),
  ],
  settings,
);
if (made.kind !== "done" || !made.value) throw new Error("no contexts");
const contexts = made.value;

for (const [servername, shown] of [
  ["one.example", "one.example"],
  ["ONE.Example", "one.example"],
  ["shared.example", "one.example"],
  ["any.wild.example", "wild.example"],
  ["a.b.wild.example", "default.example"],
  ["wild.example", "wild.example"],
  ["unknown.example", "default.example"],
  ["*.wild.example", "default.example"],
  ["__proto__", "default.example"],
  [`${"a".repeat(250)}`, "default.example"],
  ["", "default.example"],
] as const) {
  test(`secureServer() shows ${shown} to who asks for "${servername.slice(0, 40)}"`, async () => {
    const met = await meet(contexts, { servername });
    assert.equal(met.shown, shown);
    assert.equal(met.session?.protocol, "TLSv1.3");
    assert.match(met.session?.cipher ?? "", /^TLS_AES_/);
    assert.equal(met.session?.hasExporter, true);
    assert.deepEqual(met.binding, met.exporter);
    assert.equal(met.binding?.length, 32);
    assert.equal(met.session?.exporter(), undefined, "the connection is gone");
  });
}

for (const [offered, isServed] of [
  [["smtp"], true],
  [["http/1.1", "esmtp"], true],
  [["h2", "http/1.1"], false],
  [["\0"], false],
] as const) {
  test(`secureServer() ${isServed ? "serves" : "refuses"} who would speak ${offered.join(" or ")} (ALPACA)`, async () => {
    const met = await meet(contexts, { ALPNProtocols: [...offered] });
    assert.equal(met.session !== undefined, isServed);
    if (!isServed) assert.equal(met.failure, "no application protocol");
  });
}

test("secureServer() speaks TLS 1.2 without a channel binding, and nothing older", async () => {
  const met = await meet(contexts, { maxVersion: "TLSv1.2" });
  assert.deepEqual(
    [met.session?.protocol, met.session?.cipher, met.session?.hasExporter, met.binding],
    ["TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", false, undefined],
  );
  const old = await meet(contexts, { maxVersion: "TLSv1.1", minVersion: "TLSv1.1", ciphers: "ALL:@SECLEVEL=0" });
  assert.equal(old.session, undefined);
  assert.equal(old.failure, "unsupported protocol");
});

test("a session is resumed where its ticket was given, and nowhere else: no other service, nothing from before a reload", async () => {
  const options = { maxVersion: "TLSv1.2", servername: "one.example" } as const;
  const first = await meet(contexts, options);
  assert.equal(first.isResumed, false);
  const again = await meet(contexts, { ...options, session: first.ticket });
  assert.equal(again.isResumed, true);
  const others = createContexts([certificate("one", ["one.example"])], settings);
  assert.ok(others.kind === "done" && others.value);
  const elsewhere = await meet(others.value, { ...options, session: first.ticket });
  assert.equal(elsewhere.isResumed, false);
  assert.equal(elsewhere.session?.protocol, "TLSv1.2", "it is a whole handshake then, no failure");
});

test("createContexts() with tlsminimum 1.3 refuses TLS 1.2", async () => {
  const strict = createContexts([good], settingsWith({ tlsminimum: "1.3" }));
  assert.ok(strict.kind === "done" && strict.value);
  assert.equal((await meet(strict.value, { maxVersion: "TLSv1.2" })).failure, "unsupported protocol");
  assert.equal((await meet(strict.value, {})).session?.protocol, "TLSv1.3");
});

for (const [what, octets, failure] of [
  ["plain SMTP", "EHLO client.example\r\n", "wrong version number"],
  ["plain HTTP", "GET / HTTP/1.0\r\n\r\n", "http request"],
  ["NULs", "\0".repeat(1_000), "wrong version number"],
  ["a record that is too long", "\x16\x03\x01\xff\xff\x01", "data length too long"],
  ["a ClientHello that is broken", `\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00`, "length too short"],
] as const) {
  test(`secureServer() tells of a failure, once, when it is sent ${what}`, async () => {
    const met = await meet(contexts, {}, (socket) => socket.write(octets, "latin1"));
    assert.equal(met.failure, failure);
  });
}

for (const octets of ["\x16\x03\x01", ""]) {
  test(`secureServer() tells when the client goes after ${octets.length} octets`, async () => {
    const met = await meet(contexts, {}, (socket) => socket.end(octets, "latin1"));
    assert.ok(met.failure !== undefined);
  });
}

test("secureServer() answers no renegotiation in TLS 1.2", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  server.once("connection", (socket: Socket) => {
    const secured: TLSSocket = secureServer(socket, contexts, {
      onSecure: () => secured.resume(),
      onFailure: () => {},
    });
  });
  const client = connect({ port: address.port, host: "127.0.0.1", rejectUnauthorized: false, maxVersion: "TLSv1.2" });
  await once(client, "secureConnect");
  const refused = Promise.withResolvers<string>();
  client.on("error", (error: NodeJS.ErrnoException) => refused.resolve(error.code ?? error.message));
  client.renegotiate({ rejectUnauthorized: false }, (error) =>
    refused.resolve(String(error?.message ?? "renegotiated")),
  );
  assert.match(await refused.promise, /NO_RENEGOTIATION/);
  client.destroy();
  server.close();
});
