import type { LaunchOrder } from "../../services/launch/launch.ts";
import { exitTryAgain } from "../../services/program/message.ts";
import { becomeProgram } from "./become-program.ts";

const order: LaunchOrder = JSON.parse(process.argv[2] ?? "");
const failure = becomeProgram(order);
process.stderr.write(`postern: ${order.plan.program}: ${failure.text}\n`);
process.exit(exitTryAgain);
