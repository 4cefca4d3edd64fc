import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import type { AccountsAnswer } from "./request.ts";

export const said = (...lines: readonly string[]): Outcome<AccountsAnswer> => done({ lines, rows: [] });
export const rowsOf = (rows: AccountsAnswer["rows"]): Outcome<AccountsAnswer> => done({ lines: [], rows });
export const thereIsNo = (what: string): Outcome<never> => permanent("5.1", `there is no ${what}`);
/** A time for people and programs; "" for never. */
export const timeText = (ms: number): string => (ms === 0 ? "" : new Date(ms).toISOString().slice(0, 19).concat("Z"));
