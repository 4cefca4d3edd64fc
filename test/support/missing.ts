const missing = new Set((process.env.POSTERN_MISSING ?? "").split(",").filter(Boolean));

/** For a test's `skip`: the reason when one of the commands is not on this machine, else false. */
export function without(...commands: string[]): string | false {
  const absent = commands.filter((command) => missing.has(command));
  return absent.length > 0 && `needs ${absent.join(", ")}`;
}

/** For a test's `skip`: the reason unless we are root. */
export const unlessRoot = (): string | false => process.getuid?.() !== 0 && "needs root";

/** For a test's `skip`: the reason unless POSTERN_LONG is set, for what takes too long for every run. */
export const unlessLong = (): string | false => !process.env.POSTERN_LONG && "only with POSTERN_LONG=1";
