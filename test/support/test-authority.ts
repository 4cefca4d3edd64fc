import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "./server.ts";

export interface Credentials {
  readonly key: string;
  /** Its own first, and what else belongs to the chain. */
  readonly cert: string;
}

/** An authority of the test's own. */
export interface Authority {
  readonly pem: string;
  /** A key and a certificate for a name, in force for two days, or once upon a time. */
  issue(name: string, when?: "now" | "expired"): Credentials;
}

const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** Needs the commands `openssl` and `faketime`; throws without. */
export function makeAuthority(commonName = "Test Authority"): Authority {
  const ca = request(["-subj", `/CN=${commonName}`, "-addext", "basicConstraints=critical,CA:TRUE"], "now");
  const issue = (name: string, when: "now" | "expired" = "now"): Credentials => {
    const folder = temporaryFolder();
    try {
      const [cert, key] = [join(folder, "ca.pem"), join(folder, "ca.key")];
      writeFileSync(cert, ca.cert);
      writeFileSync(key, ca.key);
      const leaf = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", `subjectAltName=DNS:${name}`];
      const made = request(["-subj", "/CN=test", ...leaf, "-CA", cert, "-CAkey", key], when);
      return { key: made.key, cert: made.cert + ca.cert };
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
  return { pem: ca.cert, issue };
}

function request(args: readonly string[], when: "now" | "expired"): Credentials {
  const command = ["openssl", "req", "-x509", ...curve, "-days", "2", "-keyout", "-", "-out", "-", ...args];
  const [program = "", ...rest] = when === "now" ? command : ["faketime", "2020-02-02", ...command];
  const pem = execFileSync(program, rest, { encoding: "latin1", stdio: ["ignore", "pipe", "ignore"] });
  const at = pem.indexOf("-----BEGIN CERTIFICATE-----");
  return { key: pem.slice(0, at), cert: pem.slice(at) };
}
