import { commonFlags } from "../../services/launch/node-flags.ts";
import type { Command } from "./command.ts";

/** Becomes `supervise`, so that whoever started us, a terminal or systemd, has the server itself as its child. */
export const command: Command = {
  usage: "postern start --help",
  async run(args) {
    const suffix = import.meta.filename.endsWith(".ts") ? "ts" : "js";
    const main = new URL(`../supervise/main.${suffix}`, import.meta.url).pathname;
    const words = [process.execPath, ...commonFlags, main, ...args];
    if (!process.execve) throw new Error("this system has no execve");
    return process.execve(process.execPath, words, process.env);
  },
};
