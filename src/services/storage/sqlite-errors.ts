/** SQLite's primary result codes (the low octet of `errcode`) that tell of the machine, not of the data or of us. */
const passing = new Map([
  [5, "busy: another process has the file"],
  [6, "locked"],
  [7, "no memory"],
  [8, "read-only file system"],
  [10, "input/output error, failed flush"],
  [13, "disk full"],
  [14, "cannot open the file"],
]);
const damage = new Map([
  [11, "malformed"],
  [26, "not a database"],
]);

const resultCode = (error: unknown): number | undefined => {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return undefined;
  return error.errcode % 256;
};

/** It may work later. */
export const isPassing = (error: unknown): boolean => passing.has(resultCode(error) ?? -1);
/** No space: the transaction was rolled back, no flush has failed. */
export const isFull = (error: unknown): boolean => resultCode(error) === 13;
/** The file is not what it should be. */
export const isDamage = (error: unknown): boolean => damage.has(resultCode(error) ?? -1);
