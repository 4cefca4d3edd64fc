import { getRawPointer } from "node:ffi";
import { type KernelFailure, kernelFailure, systemCall } from "./libc.ts";
import { type Machine, systemCalls } from "./system-calls.ts";

/**
 * Turns this process into another program (execve(2)); returns only if that failed. `key` is passed in arguments the
 * kernel does not look at: a seccomp filter that asks for it lets this exec through and none that comes after.
 */
export function execute(
  machine: Machine,
  path: string,
  options: {
    readonly args: readonly string[];
    readonly env: ReadonlyMap<string, string>;
    readonly key: readonly [number, number, number];
  },
): KernelFailure {
  const args = stringTable([path, ...options.args]);
  const env = stringTable([...options.env].map(([name, value]) => `${name}=${value}`));
  systemCall(systemCalls.execve[machine.column], Buffer.from(`${path}\0`), args, env, ...options.key);
  return kernelFailure(`execute ${path}`);
}

/** What execve(2) takes for argv and envp: a NULL-ended table of pointers, and behind it the strings they point to. */
function stringTable(texts: readonly string[]): Buffer {
  const strings = texts.map((text) => Buffer.from(`${text}\0`));
  const tableOctets = 8 * (strings.length + 1);
  const block = Buffer.concat([Buffer.alloc(tableOctets), ...strings]);
  let pointer = getRawPointer(block) + BigInt(tableOctets);
  for (const [at, string] of strings.entries()) {
    block.writeBigUInt64LE(pointer, 8 * at);
    pointer += BigInt(string.length);
  }
  return block;
}
