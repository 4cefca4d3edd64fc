import { chownSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { amongPeers } from "../setup.ts";
import { run } from "./commands.ts";
import { temporaryFolder } from "./server.ts";

const eximUid = 61_204;

export interface EximMessage {
  readonly reversePath: string;
  readonly forwardPaths: readonly string[];
  readonly text: string;
}

/**
 * Has a real Exim, as `exim.example`, hand a message on to `port`, by TLS with a certificate that `authority` (PEM)
 * stands for. Resolves, when it has tried, with its log. It sends by BDAT to whom offers CHUNKING. Needs root.
 */
export async function sendByExim(port: number, authority: string, message: EximMessage): Promise<string> {
  const root = temporaryFolder();
  for (const folder of ["spool", "log"]) {
    mkdirSync(join(root, folder));
    chownSync(join(root, folder), eximUid, eximUid);
  }
  writeFileSync(join(root, "passwd"), `root:x:0:0::/:/bin/sh\nDebian-exim:x:${eximUid}:${eximUid}::/:/bin/false\n`);
  writeFileSync(join(root, "group"), `root:x:0:\nDebian-exim:x:${eximUid}:\n`);
  writeFileSync(join(root, "authority.pem"), authority);
  writeFileSync(join(root, "conf"), configuration(root, port));
  const script = [
    'mount --bind "$0/passwd" /etc/passwd && mount --bind "$0/group" /etc/group &&',
    'exec /usr/sbin/exim4 -C "$0/conf" -odi -oi "$@"',
  ].join(" ");
  const [command = "", ...args] = amongPeers;
  const { reversePath, forwardPaths, text } = message;
  const sent = await run(command, [...args, "-c", script, root, "-f", reversePath, ...forwardPaths], text);
  const log = sent.stderr + readFileSync(join(root, "log/main"), "latin1");
  rmSync(root, { recursive: true });
  return log;
}

const configuration = (root: string, port: number): string => `
spool_directory = ${root}/spool
log_file_path = ${root}/log/%s
primary_hostname = exim.example
keep_environment =
never_users =
log_selector = +smtp_confirmation +received_recipients
begin routers
all:
  driver = manualroute
  route_list = * "localhost::${port}" byname
  self = send
  transport = out
begin transports
out:
  driver = smtp
  hosts_require_tls = *
  tls_verify_certificates = ${root}/authority.pem
  tls_verify_hosts = *
  dnssec_request_domains =
`;
