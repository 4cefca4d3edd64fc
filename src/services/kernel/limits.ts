import { type KernelOutcome, kernelFailure, libc, worked } from "./libc.ts";

const resources = { fileOctets: 1, coreOctets: 4, descriptors: 7 } as const;

/** Sets the soft and the hard limit, or the hard limit we are under where that is lower and we may not raise it. */
export function limit(resource: keyof typeof resources, most: number): KernelOutcome<void> {
  const number = resources[resource];
  const current = new BigUint64Array(2);
  if (libc().getrlimit(number, current) < 0) return kernelFailure(`read the limit of ${resource}`);
  const wanted = BigInt(most);
  if (libc().setrlimit(number, new BigUint64Array([wanted, wanted])) === 0) return worked(undefined);
  const [, hard = 0n] = current;
  if (hard < wanted && libc().setrlimit(number, new BigUint64Array([hard, hard])) === 0) return worked(undefined);
  return kernelFailure(`limit ${resource} to ${most}`);
}
