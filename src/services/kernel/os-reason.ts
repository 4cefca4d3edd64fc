import { getSystemErrorMessage } from "node:util";

/** Why a call of Node's failed, in the system's words: "permission denied". */
export function osReason(error: unknown): string {
  const { errno, message } = error as NodeJS.ErrnoException;
  return errno === undefined ? message : getSystemErrorMessage(errno);
}
