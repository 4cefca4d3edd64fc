/**
 * Gives back what reading the code and the settings has left: some megabytes of young pages that V8 keeps for as long as
 * little happens. Takes some tens of milliseconds: for the end of a start. Needs --expose-gc, and does nothing without.
 */
export const settle = (): void => globalThis.gc?.({ type: "major", flavor: "last-resort" });
