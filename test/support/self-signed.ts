import { execFileSync } from "node:child_process";

/** A fresh key and a certificate that it signed itself, as PEM. Needs the `openssl` command; throws without. */
export function makeSelfSigned(name: string): { readonly key: string; readonly cert: string } {
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const place = ["-subj", `/CN=${name}`, "-days", "2", "-keyout", "-", "-out", "-"];
  const pem = execFileSync("openssl", ["req", "-x509", ...curve, ...place], {
    encoding: "latin1",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const at = pem.indexOf("-----BEGIN CERTIFICATE-----");
  return { key: pem.slice(0, at), cert: pem.slice(at) };
}
