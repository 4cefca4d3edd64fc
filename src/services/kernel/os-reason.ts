import { constants } from "node:os";

const unknown = /^Unknown system error -(\d+)$/;
const namesByNumber = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

/** Not imported: as a module, `node:util` loads all that it has on offer, which is 4 ms of every program's start. */
const util = () => process.getBuiltinModule("node:util");

/** Of a number as libuv has it, below 0: "no such file or directory". */
export const systemErrorMessage = (errno: number): string => util().getSystemErrorMessage(errno);
/** The same in short: "ENOENT". */
export const systemErrorShortName = (errno: number): string => util().getSystemErrorName(errno);

/** libuv has neither name nor words for some: EDQUOT, ESTALE and others. What it says, or the name of such a one. */
export const systemErrorName = (said: string): string => namesByNumber.get(Number(unknown.exec(said)?.[1])) ?? said;

/** Why a call of Node's failed, in the system's words: "permission denied". */
export function osReason(error: unknown): string {
  const { errno, message } = error as NodeJS.ErrnoException;
  return errno === undefined ? message : systemErrorName(systemErrorMessage(errno));
}
