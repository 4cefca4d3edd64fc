import type { Options } from "../../protocol/wire/submission.ts";
import type { Dsn } from "./storage.ts";

/** Columns of a table that has no row for most: then all are NULL. */
export interface DsnRow {
  readonly notify: number | null;
  readonly originalRecipient: string;
}
export interface OptionsRow extends Omit<Options, "ret"> {
  readonly ret: number | null;
}

/** To be spread into what is made of the row. */
export const dsnOf = ({ notify, originalRecipient }: DsnRow): { readonly dsn: Dsn } | undefined =>
  notify === null ? undefined : { dsn: { notify, originalRecipient } };

export function optionsOf(row: OptionsRow): { readonly options: Options } | undefined {
  const { envelopeId, ret, flags, priority, holdUntilMs } = row;
  return ret === null ? undefined : { options: { envelopeId, ret, flags, priority, holdUntilMs } };
}
