import { commonFlags } from "../../services/launch/node-flags.ts";
import type { Command } from "./command.ts";

/** Becomes `supervise`, so that whoever started us, a terminal or systemd, has the server itself as its child. */
export const command: Command = {
  usage: "postern start --help",
  async run(args) {
    const isSource = import.meta.filename.endsWith(".ts");
    const main = new URL(`../supervise/main.${isSource ? "ts" : "js"}`, import.meta.url).pathname;
    // It has nothing to do in a hurry: no code is made at run time in the one that stays root. TypeScript is read by such.
    const flags = isSource ? commonFlags : [...commonFlags, "--jitless"];
    const words = [process.execPath, ...flags, main, ...args];
    if (!process.execve) throw new Error("this system has no execve");
    return process.execve(process.execPath, words, process.env);
  },
};
