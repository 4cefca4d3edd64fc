const firstWaitMs = 250;
const longestWaitMs = 30_000;
const steadyMs = 60_000;

/** How often a program died in a row, a minute's work ending the row, and how long to wait before it is started again. */
export function afterDeath(
  deathsInARow: number,
  uptimeMs: number,
): { readonly deathsInARow: number; readonly waitMs: number } {
  if (uptimeMs >= steadyMs || deathsInARow === 0) return { deathsInARow: 1, waitMs: 0 };
  const waitMs = Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(deathsInARow - 1, 20));
  return { deathsInARow: deathsInARow + 1, waitMs };
}
