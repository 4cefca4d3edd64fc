/**
 * Fetches what the tests need beside Node: Debian packages, and Postfix's load tools unpacked into .cache/ (not
 * installed: nobody wants a second mail server started by a test). Says what is missing, so that suites can skip.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";

const cache = join(import.meta.dirname, "..", ".cache");
const peers = join(cache, "peers");

/** Command -> Debian package that brings it. */
const wanted: readonly (readonly [string, string])[] = [
  ["swaks", "swaks"],
  ["openssl", "openssl"],
  ["python3", "python3"],
  ["git", "git"],
  ["strace", "strace"],
  ["mutt", "mutt"],
  ["ip", "iproute2"],
  ["nft", "nftables"],
  ["prlimit", "util-linux"],
  ["mkfs.ext4", "e2fsprogs"],
  ["mkfs.xfs", "xfsprogs"],
  ["faketime", "faketime"],
  ["cdb", "tinycdb"],
];

const has = (command: string): boolean => spawnSync("sh", ["-c", `command -v ${command}`]).status === 0;
const apt = (...args: string[]): boolean =>
  spawnSync("apt-get", args, { stdio: "ignore", env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } }).status ===
  0;

/** Folder with smtp-source and smtp-sink, with the libraries they need beside them. */
export const postfixTools = join(peers, "usr/sbin");
export const postfixLibraries = join(peers, "usr/lib/postfix");

/** Brings what it can and returns the names of what is still missing. */
export function setUp(): string[] {
  const absent = wanted.filter(([command]) => !has(command));
  const needsPostfix = !existsSync(join(postfixTools, "smtp-sink"));
  if ((absent.length > 0 || needsPostfix) && process.getuid?.() === 0 && has("apt-get")) {
    apt("update", "-qq");
    if (absent.length > 0) apt("install", "-y", "-qq", "--no-install-recommends", ...absent.map(([, name]) => name));
    if (needsPostfix) unpackPostfix();
  }
  const missing = absent.filter(([command]) => !has(command)).map(([command]) => command);
  if (!runsSmtpSink()) missing.push("smtp-sink");
  return missing;
}

function unpackPostfix(): void {
  const folder = join(cache, "packages");
  mkdirSync(folder, { recursive: true });
  mkdirSync(peers, { recursive: true });
  spawnSync("apt-get", ["download", "-qq", "postfix"], { cwd: folder, stdio: "ignore" });
  apt("install", "-y", "-qq", "--no-install-recommends", "libicu72", "libdb5.3", "libsasl2-2", "libnsl2");
  for (const name of readdirSync(folder).filter((entry) => entry.endsWith(".deb"))) {
    execFileSync("dpkg", ["-x", join(folder, name), peers]);
  }
}

const runsSmtpSink = (): boolean =>
  spawnSync(join(postfixTools, "smtp-sink"), ["-h"], { env: { ...process.env, LD_LIBRARY_PATH: postfixLibraries } })
    .error === undefined;
