import { constants } from "node:os";
import { getSystemErrorMessage } from "node:util";

const unknown = /^Unknown system error -(\d+)$/;
const namesByNumber = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

/** libuv has neither name nor words for some: EDQUOT, ESTALE and others. What it says, or the name of such a one. */
export const systemErrorName = (said: string): string => namesByNumber.get(Number(unknown.exec(said)?.[1])) ?? said;

/** Why a call of Node's failed, in the system's words: "permission denied". */
export function osReason(error: unknown): string {
  const { errno, message } = error as NodeJS.ErrnoException;
  return errno === undefined ? message : systemErrorName(getSystemErrorMessage(errno));
}
