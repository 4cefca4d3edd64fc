import { runProgram } from "../../services/program/program.ts";
import { begin } from "./begin.ts";

runProgram("local", begin);
