import type { task } from "../../protocol/wire/worker.ts";

/** One delivery, as `local` hands it over. */
export type Task = NonNullable<ReturnType<typeof task.decode>>;
