/** Status without its class, "1.1" for a bad mailbox (RFC 3463 §3); `kind` gives the class, 4 or 5. */
export type Status = `${number}.${number}`;

export type Failure =
  | { readonly kind: "temporary"; readonly status: Status; readonly text: string } // stays queued, tried again
  | { readonly kind: "permanent"; readonly status: Status; readonly text: string }; // bounced, never tried again

/** What one folder exports to another returns, instead of throwing. An unknown failure is temporary. */
export type Outcome<Value> = { readonly kind: "done"; readonly value: Value } | Failure;

export const done = <Value>(value: Value): Outcome<Value> => ({ kind: "done", value });
export const temporary = (status: Status, text: string): Failure => ({ kind: "temporary", status, text });
export const permanent = (status: Status, text: string): Failure => ({ kind: "permanent", status, text });

/** The code as mail reads it: "5.1.1" (RFC 3463 §2). */
export const enhancedCode = (failure: Failure): string => `${failure.kind === "temporary" ? 4 : 5}.${failure.status}`;
