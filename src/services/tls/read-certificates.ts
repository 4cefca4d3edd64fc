import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { done, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { osReason } from "../kernel/os-reason.ts";
import { type CertificateFiles, readCertificate } from "./certificate.ts";

/** As certbot names them. */
export const chainFile = "fullchain.pem";
export const keyFile = "privkey.pem";

const maxCertificates = 1_000;
const maxFileOctets = 65_536;

/** The certificates of a folder, and one line for each that cannot be used. */
export interface CertificatesRead {
  readonly certificates: readonly CertificateFiles[];
  readonly faults: readonly string[];
}

/**
 * Reads `folder`/NAME/fullchain.pem and privkey.pem, for each NAME in it that is a folder and has no dot in front, in
 * order of their names. Names may be links, as to what certbot keeps. Fails when the folder itself cannot be read.
 */
export function readCertificates(folder: string): Outcome<CertificatesRead> {
  let names: readonly string[];
  try {
    names = readdirSync(folder, { withFileTypes: true })
      .filter((entry) => (entry.isDirectory() || entry.isSymbolicLink()) && !entry.name.startsWith("."))
      .map(({ name }) => name)
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return done({ certificates: [], faults: [] });
    return temporary("3.0", `cannot read ${folder}: ${osReason(error)}`);
  }
  if (names.length > maxCertificates) {
    return permanent("3.5", `${names.length} certificates in ${folder} are more than ${maxCertificates}`);
  }
  const certificates: CertificateFiles[] = [];
  const faults: string[] = [];
  for (const name of names) {
    const files = readFiles(folder, name);
    const read = files.kind === "done" ? readCertificate(files.value) : files;
    if (files.kind === "done" && read.kind === "done") certificates.push(files.value);
    else if (read.kind !== "done") faults.push(read.text);
  }
  return done({ certificates, faults });
}

/** What was read, with the old certificate in the place of each that cannot be used any more. */
export function keepingOld(
  { certificates, faults }: CertificatesRead,
  old: readonly CertificateFiles[],
): CertificateFiles[] {
  const missing = old.filter(
    ({ name }) =>
      faults.some((fault) => fault.startsWith(`tls/${name}: `)) && !certificates.some((one) => one.name === name),
  );
  return [...certificates, ...missing].sort((one, other) => (one.name < other.name ? -1 : 1));
}

function readFiles(folder: string, name: string): Outcome<CertificateFiles> {
  const chain = readSmall(join(folder, name, chainFile));
  if (chain.kind !== "done") return { ...chain, text: `tls/${name}: ${chain.text}` };
  const key = readSmall(join(folder, name, keyFile));
  if (key.kind !== "done") return { ...key, text: `tls/${name}: ${key.text}` };
  return done({ name, chain: chain.value, key: key.value });
}

function readSmall(path: string): Outcome<string> {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK); // a pipe would make us wait for its writer
    const status = fstatSync(fd);
    if (!status.isFile() || status.size > maxFileOctets) {
      return permanent("3.5", `${path} is no file of at most ${maxFileOctets} octets`);
    }
    return done(readFileSync(fd, "latin1"));
  } catch (error) {
    return temporary("3.0", `cannot read ${path}: ${osReason(error)}`);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
