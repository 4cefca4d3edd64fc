import type { Failure } from "../../protocol/outcome.ts";

/** The codes of sysexits(3) that callers of sendmail tell apart. */
export const exUsage = 64;
const exDataError = 65;
const exNoUser = 67;
const exUnavailable = 69;
const exTemporary = 75;
const exNoPermission = 77;
const exConfiguration = 78;

/** The exit code of a failure, by its status (RFC 3463). */
export function exitCode({ kind, status }: Failure): number {
  if (kind === "temporary") return exTemporary;
  if (status.startsWith("1.")) return exNoUser;
  if (status.startsWith("6.") || status === "3.4") return exDataError;
  if (status === "5.1") return exUsage;
  if (status === "7.1") return exNoPermission;
  return status === "3.5" ? exConfiguration : exUnavailable;
}
