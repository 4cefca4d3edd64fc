/** What the end of a program in a .qmail file means. "stop": done, and the lines after it do not count. */
export type ProgramEnd = "success" | "stop" | "permanent" | "temporary";

const permanentCodes: readonly number[] = [100, 64, 65, 70, 76, 77, 78, 112];

/** Everything that is not known to be final is tried again, also what the shell says of commands it cannot find. */
export function programEnd(exitCode: number): ProgramEnd {
  if (exitCode === 0) return "success";
  if (exitCode === 99) return "stop";
  return permanentCodes.includes(exitCode) ? "permanent" : "temporary";
}
