/**
 * Fetches what the tests need beside Node: Debian packages, and Postfix, Exim and Dovecot unpacked into .cache/ (not
 * installed: nobody wants a second mail server started by a test). Says what is missing, so that suites can skip.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const cache = join(import.meta.dirname, "..", ".cache");
/** Where what is not installed was unpacked. */
export const peers = join(cache, "peers");

/** Command, or module of Perl behind "perl:" -> Debian package that brings it. */
const wanted: readonly (readonly [string, string])[] = [
  ["swaks", "swaks"],
  ["perl:Net::SSLeay", "libnet-ssleay-perl"],
  ["perl:Digest::HMAC_MD5", "libdigest-hmac-perl"],
  ["msmtp", "msmtp"],
  ["curl", "curl"],
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
  ["mkfs.btrfs", "btrfs-progs"],
  ["faketime", "faketime"],
  ["cdb", "tinycdb"],
  ["procmail", "procmail"],
  ["vacation", "vacation"],
  ["maildrop", "maildrop"],
  ["tcprules", "ucspi-tcp"],
  ["script", "bsdutils"],
  ["ldns-signzone", "ldnsutils"],
  ["fetchmail", "fetchmail"],
  ["mpop", "mpop"],
  ["checkpw", "checkpw"],
  ["getmail", "getmail6"],
];

interface Unpacked {
  /** The package, and with it others of the same source. */
  readonly packages: readonly string[];
  /** A file it brings, below `peers`. */
  readonly brings: string;
  /** Installed: only libraries. */
  readonly libraries: readonly string[];
}

const unpacked: readonly Unpacked[] = [
  {
    packages: ["postfix"],
    brings: "usr/sbin/smtp-sink",
    libraries: ["libicu72", "libdb5.3", "libsasl2-2", "libnsl2"],
  },
  {
    packages: ["dovecot-core", "dovecot-imapd", "dovecot-lmtpd", "dovecot-pop3d"],
    brings: "usr/lib/dovecot/pop3",
    libraries: ["libunwind8", "liblzma5", "liblz4-1", "libzstd1", "libsodium23", "libtirpc3"],
  },
  {
    packages: ["exim4-daemon-light"],
    brings: "usr/sbin/exim4",
    libraries: ["libgnutls-dane0", "libpcre2-8-0", "libidn12", "libdb5.3", "libnsl2"],
  },
  {
    packages: ["unbound"],
    brings: "usr/sbin/unbound",
    libraries: ["libevent-2.1-7", "libnghttp2-14", "libprotobuf-c1", "libpython3.11"],
  },
];

const has = (command: string): boolean => {
  const module = command.startsWith("perl:") && `perl -M${command.slice("perl:".length)} -e 1`;
  return spawnSync("sh", ["-c", module || `command -v ${command}`]).status === 0;
};
const apt = (...args: string[]): boolean =>
  spawnSync("apt-get", args, { stdio: "ignore", env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } }).status ===
  0;

/** Folder with smtp-source and smtp-sink, with the libraries they need beside them. */
export const postfixTools = join(peers, "usr/sbin");
export const postfixLibraries = join(peers, "usr/lib/postfix");

/** Makes hashes of passwords as others do. */
export const doveadm = join(peers, "usr/bin/doveadm");

/** A resolver that checks DNSSEC. */
export const unbound = join(peers, "usr/sbin/unbound");

/**
 * The beginning of a command that sees what was unpacked where it belongs, below /usr, in a mount namespace of its
 * own. A shell comes next: `-c`, script, arguments; what else is to be mounted can be mounted there. Needs root.
 */
export const amongPeers: readonly string[] = [
  ...["unshare", "--mount", "--propagation", "private", "sh", "-c"],
  'mount -t overlay overlay -o "ro,lowerdir=$0/usr:/usr" /usr && exec sh "$@"',
  peers,
];

/** Brings what it can and returns the names of what is still missing. */
export function setUp(): string[] {
  const absent = wanted.filter(([command]) => !has(command));
  const toUnpack = unpacked.filter(({ brings }) => !existsSync(join(peers, brings)));
  if ((absent.length > 0 || toUnpack.length > 0) && process.getuid?.() === 0 && has("apt-get")) {
    apt("update", "-qq");
    if (absent.length > 0) apt("install", "-y", "-qq", "--no-install-recommends", ...absent.map(([, name]) => name));
    toUnpack.forEach(unpack);
  }
  const missing = absent.filter(([command]) => !has(command)).map(([command]) => command);
  if (!runsSmtpSink()) missing.push("smtp-sink");
  if (!runsAmongPeers("postconf", "-d", "mail_version")) missing.push("postfix");
  if (!runsAmongPeers("doveconf", "-d", "mbox_read_locks")) missing.push("dovecot");
  if (!runsAmongPeers("sh", "-c", "exim4 -bV; [ $? -lt 126 ]")) missing.push("exim");
  if (spawnSync(unbound, ["-V"]).status !== 0) missing.push("unbound");
  return missing;
}

function unpack({ packages, libraries }: Unpacked): void {
  const folder = mkdtempSync(join(tmpdir(), "postern-packages-"));
  mkdirSync(peers, { recursive: true });
  spawnSync("apt-get", ["download", "-qq", ...packages], { cwd: folder, stdio: "ignore" });
  apt("install", "-y", "-qq", "--no-install-recommends", ...libraries);
  for (const name of readdirSync(folder)) execFileSync("dpkg", ["-x", join(folder, name), peers]);
  execFileSync("chmod", ["-R", "ug-s", peers]); // nothing here is to be anybody but who runs it
  rmSync(folder, { recursive: true });
}

const runsSmtpSink = (): boolean =>
  spawnSync(join(postfixTools, "smtp-sink"), ["-h"], { env: { ...process.env, LD_LIBRARY_PATH: postfixLibraries } })
    .error === undefined;

const runsAmongPeers = (...command: readonly string[]): boolean => {
  const [unshare = "", ...rest] = amongPeers;
  return spawnSync(unshare, [...rest, "-c", 'exec "$@"', "sh", ...command]).status === 0;
};
