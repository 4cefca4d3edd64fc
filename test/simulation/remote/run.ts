import { play } from "../deliver/replay.ts";
import { mutants } from "./mutants.ts";
import { faults, simulate } from "./simulate.ts";

await play({ command: "test/simulation/remote/run.ts", steps: 20, faults, mutants, simulate });
