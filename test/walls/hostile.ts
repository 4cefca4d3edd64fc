// Stands in a program's place, inside its walls, and tries everything. Reports { name: "done" | why not } and ends.
import type { Attempts, Targets } from "./attempt.ts";

const targets: Targets = JSON.parse(process.argv[2] ?? "{}");
const passes: ReadonlyMap<string, () => Promise<Attempts>> = new Map([
  ["javascript", async () => (await import("./javascript.ts")).javascriptAttempts(targets)],
  ["native", async () => (await import("./native.ts")).nativeAttempts(targets)],
]);
const attempts = await passes.get(process.argv[3] ?? "")?.();
const results: Record<string, string> = {};
for (const [name, attempt] of attempts ?? []) {
  const { promise: thrown, reject } = Promise.withResolvers<never>();
  process.once("uncaughtException", reject); // so Node refuses some, much later
  try {
    await Promise.race([attempt(), thrown]);
    results[name] = "done";
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    results[name] = code ?? message;
  } finally {
    process.off("uncaughtException", reject);
  }
}
process.send?.(results, becomeAnother);

/** Last: where this is let, nobody is left to report. */
function becomeAnother(): void {
  try {
    process.execve?.("/bin/true", ["true"], {});
  } catch (error) {
    process.send?.({ ...results, "become another program": (error as NodeJS.ErrnoException).code }, () =>
      process.exit(0),
    );
  }
}
