import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { certificateBody, pem, sealCertificate } from "../../protocol/x509/self-signed.ts";
import { osReason } from "../kernel/os-reason.ts";
import { chainFile, keyFile } from "./read-certificates.ts";

const lifetimeMs = 3_650 * 86_400_000;
/** Clocks of clients differ. */
const toleranceMs = 86_400_000;

/** A fresh key (P-256) and a certificate for these names and addresses that it signed itself, both PEM. */
export function makeSelfSigned(
  names: readonly string[],
  nowMs: number,
): { readonly chain: string; readonly key: string } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const spki = publicKey.export({ type: "spki", format: "der" });
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // positive, and of full length
  const body = certificateBody({
    commonName: names[0] ?? "localhost",
    names,
    serial,
    notBeforeMs: nowMs - toleranceMs,
    notAfterMs: nowMs + lifetimeMs,
    publicKey: spki,
    keyId: createHash("sha256").update(spki).digest().subarray(0, 20),
  });
  const certificate = sealCertificate(body, sign("sha256", body, privateKey));
  return { chain: pem("CERTIFICATE", certificate), key: String(privateKey.export({ type: "pkcs8", format: "pem" })) };
}

/** Puts a fresh certificate into `folder`, which is made with it. The key comes last: without it there is nothing. */
export function writeSelfSigned(folder: string, names: readonly string[], nowMs: number): Outcome<void> {
  const made = makeSelfSigned(names, nowMs);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(join(folder, chainFile), made.chain, { mode: 0o644 });
    writeFileSync(join(folder, keyFile), made.key, { mode: 0o600, flag: "wx" });
    return done(undefined);
  } catch (error) {
    rmSync(join(folder, chainFile), { force: true });
    return temporary("3.0", `cannot write a certificate into ${folder}: ${osReason(error)}`);
  }
}
