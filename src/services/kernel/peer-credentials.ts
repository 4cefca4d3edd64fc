import { type KernelOutcome, kernelFailure, libc, worked } from "./libc.ts";

export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;

/** Who connected, as the kernel saw it at connect(2): of a Unix stream socket. */
export function peerCredentials(fd: number): KernelOutcome<PeerCredentials> {
  const credentials = new Uint32Array(3);
  const length = new Uint32Array([credentials.byteLength]);
  if (libc().getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length) < 0) {
    return kernelFailure(`ask who is at the other end of descriptor ${fd}`);
  }
  const [pid = 0, uid = 0, gid = 0] = credentials;
  return worked({ pid, uid, gid });
}
