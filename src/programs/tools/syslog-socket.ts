import { closeSync } from "node:fs";
import { type Outcome, temporary } from "../../protocol/outcome.ts";
import { kernelFailure, libc, systemCall, worked } from "../../services/kernel/libc.ts";
import { callNumber, thisMachine } from "../../services/kernel/system-calls.ts";

const AF_UNIX = 1;
/** SOCK_DGRAM | SOCK_CLOEXEC */
const datagramSocket = 2 | 0o2000000;
const syslogPath = "/dev/log";

/** A socket connected to the system's log: each write is one packet. The caller's to close. */
export function openSyslog(path = syslogPath): Outcome<number> {
  const machine = thisMachine();
  const connect = machine && callNumber("connect", machine);
  if (connect === undefined || connect === null) return temporary("3.5", "this machine's system calls are not known");
  const fd = libc().socket(AF_UNIX, datagramSocket, 0);
  if (fd < 0) return kernelFailure("make a socket");
  const address = Buffer.concat([new Uint8Array(new Uint16Array([AF_UNIX]).buffer), Buffer.from(`${path}\0`)]);
  if (systemCall(connect, fd, address, address.length) >= 0n) return worked(fd);
  const failure = kernelFailure(`connect to ${path}`);
  closeSync(fd);
  return failure;
}
