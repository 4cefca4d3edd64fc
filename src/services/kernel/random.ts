import { type KernelOutcome, kernelFailure, systemCall, worked } from "./libc.ts";
import { type Machine, systemCalls } from "./system-calls.ts";

/** Random octets from the kernel (getrandom(2)), 256 at most: for who would load `node:crypto`, 7 ms of CPU, for no more. */
export function randomOctets(machine: Machine, octets: number): KernelOutcome<Buffer> {
  const random = Buffer.alloc(octets);
  const made = systemCall(systemCalls.getrandom[machine.column], random, octets, 0);
  return made === BigInt(octets) ? worked(random) : kernelFailure("make random numbers");
}
