import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { unbound } from "../setup.ts";
import { temporaryFolder, until } from "./server.ts";

/** Records in the form of a zone file, names below the zone. */
export interface Zone {
  readonly name: string;
  readonly records: string;
  /** Signed, and the resolver knows the key. */
  readonly isSigned: boolean;
  /** Changes the file after it was signed. */
  readonly spoil?: (file: string) => string;
}

/** Unbound at 127.0.0.1:53 of a network namespace; it knows these zones only, and checks them by DNSSEC. Needs root. */
export async function startResolver(namespace: string, zones: readonly Zone[]): Promise<AsyncDisposable> {
  const folder = temporaryFolder();
  const stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(folder, { recursive: true }));
  const anchors = zones.flatMap((zone) => writeZone(folder, zone));
  const configuration = join(folder, "unbound.conf");
  writeFileSync(configuration, configure(folder, zones, anchors));
  const resolver = spawn("ip", ["netns", "exec", namespace, unbound, "-d", "-c", configuration], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  resolver.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  stack.defer(async () => {
    const exited = once(resolver, "exit");
    if (resolver.exitCode === null && resolver.kill("SIGTERM")) await exited;
  });
  await until("the resolver", () => {
    if (resolver.exitCode !== null) throw new Error(said);
    return /start of service/.test(said);
  });
  return stack;
}

/** Returns the file with its key, if it has one. */
function writeZone(folder: string, { name, records, isSigned, spoil }: Zone): readonly string[] {
  const cwd = join(folder, name);
  mkdirSync(cwd);
  const head = `$ORIGIN ${name}.\n$TTL 300\n@ SOA ns root 1 3600 900 604800 300\n@ NS ns\nns A 127.0.0.1\n`;
  writeFileSync(join(cwd, "zone"), head + records);
  if (!isSigned) return [];
  const key = execFileSync("ldns-keygen", ["-k", "-a", "ECDSAP256SHA256", name], { cwd, encoding: "latin1" }).trim();
  execFileSync("ldns-signzone", ["-n", "-f", "zone", "zone", key], { cwd });
  if (spoil) writeFileSync(join(cwd, "zone"), spoil(readFileSync(join(cwd, "zone"), "latin1")));
  return [join(cwd, `${key}.key`)];
}

const configure = (folder: string, zones: readonly Zone[], anchors: readonly string[]): string =>
  [
    "server:",
    ...["interface: 127.0.0.1", "port: 53", "do-ip6: no", "do-daemonize: no", 'username: ""', 'chroot: ""'],
    ...[`directory: "${folder}"`, 'pidfile: ""', "use-syslog: no", 'logfile: ""', "verbosity: 1", "num-threads: 1"],
    ...['module-config: "validator iterator"', 'local-zone: "test." nodefault', "do-not-query-localhost: no"],
    ...anchors.map((file) => `trust-anchor-file: "${file}"`),
    "remote-control:",
    "control-enable: no",
    ...zones.flatMap(({ name }) => [
      "auth-zone:",
      ...[`name: "${name}."`, `zonefile: "${join(folder, name, "zone")}"`, "for-downstream: no", "for-upstream: yes"],
    ]),
    "",
  ].join("\n");
