const words: ReadonlyMap<string, string> = new Map([
  ["ENOENT", "file does not exist"],
  ["EACCES", "access denied"],
  ["ERR_ACCESS_DENIED", "access denied"],
  ["EPERM", "permission denied"],
  ["EEXIST", "file already exists"],
  ["ENOTDIR", "not a directory"],
  ["EISDIR", "is a directory"],
  ["EINVAL", "invalid argument"],
  ["ENOMEM", "out of memory"],
  ["EIO", "input/output error"],
  ["ETIMEDOUT", "timed out"],
  ["EAGAIN", "temporary failure"],
  ["EPIPE", "broken pipe"],
  ["ETXTBSY", "text busy"],
  ["E2BIG", "argument list too long"],
  ["ENOEXEC", "exec format error"],
  ["ECHILD", "no child processes"],
  ["EBUSY", "device busy"],
  ["EXDEV", "cross-device link"],
  ["ENFILE", "system cannot open more files"],
  ["EMFILE", "process cannot open more files"],
  ["EFBIG", "file too big"],
  ["ENOSPC", "out of disk space"],
  ["EROFS", "read-only file system"],
  ["ECONNREFUSED", "connection refused"],
  ["ELOOP", "symbolic link loop"],
  ["ENAMETOOLONG", "file name too long"],
  ["EDQUOT", "disk quota exceeded"],
  ["ESTALE", "stale NFS file handle"],
]);

const temporaryCodes: ReadonlySet<string> = new Set([
  ...["EINTR", "ENOMEM", "ETXTBSY", "EIO", "ETIMEDOUT", "EWOULDBLOCK", "EAGAIN", "EDEADLK", "EBUSY", "ENFILE"],
  ...["EMFILE", "EFBIG", "ENOSPC", "ENETDOWN", "ENETUNREACH", "ENETRESET", "ECONNABORTED", "ECONNRESET", "ENOBUFS"],
  ...["ETOOMANYREFS", "ECONNREFUSED", "EHOSTDOWN", "EHOSTUNREACH", "EPROCLIM", "EUSERS", "EDQUOT", "ESTALE", "ENOLCK"],
]);

/** A system error as delivery reports word it, the same with every C library. */
export const errorWords = (code: string): string => words.get(code) ?? "unknown error";

/** Whether this system error may pass by itself. */
export const isTemporaryError = (code: string): boolean => temporaryCodes.has(code);
