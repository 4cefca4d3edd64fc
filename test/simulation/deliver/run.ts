import { mutants } from "./mutants.ts";
import { play } from "./replay.ts";
import { faults, simulate } from "./simulate.ts";

await play({ command: "test/simulation/deliver/run.ts", steps: 6, faults, mutants, simulate });
