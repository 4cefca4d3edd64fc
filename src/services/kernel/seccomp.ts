import { getRawPointer } from "node:ffi";
import { type KernelOutcome, kernelFailure, systemCall, worked } from "./libc.ts";
import { callNumber, lastKnownCall, type Machine, type SystemCall, systemCalls } from "./system-calls.ts";

/** A claim about the low 32 bits of one argument, which is all the kernel looks at in those we test. */
export type ArgumentTest =
  | { readonly argument: number; readonly isOneOf: readonly number[] }
  | { readonly argument: number; readonly hasBit: number };

/** What happens to some calls. What no rule names is allowed. */
export interface CallRule {
  readonly calls: readonly SystemCall[];
  /** "unknown": ENOSYS, as from an older kernel, so that libc takes its other way. */
  readonly refuse:
    | "always"
    | "unknown"
    | { readonly unlessAll: readonly ArgumentTest[] }
    | { readonly ifAny: readonly ArgumentTest[] };
}

// struct sock_filter: code, jump if true, jump if false, constant.
type Instruction = readonly [code: number, jt: number, jf: number, k: number];
const loadWord = (offset: number): Instruction => [0x20, 0, 0, offset];
const ifEqual = (value: number, jt: number, jf: number): Instruction => [0x15, jt, jf, value];
const ifGreater = (value: number, jt: number, jf: number): Instruction => [0x25, jt, jf, value];
const ifBit = (mask: number, jt: number, jf: number): Instruction => [0x45, jt, jf, mask];
const verdict = (value: number): Instruction => [0x06, 0, 0, value];

const allow = verdict(0x7fff0000);
const killProcess = verdict(0x80000000);
const failWith = (errno: number): Instruction => verdict(0x00050000 | errno);
const EPERM = 1;
const ENOSYS = 38;

// struct seccomp_data, little-endian
const offsetOfCall = 0;
const offsetOfArchitecture = 4;
const offsetOfArgument = (argument: number): number => 16 + 8 * argument;

/**
 * A BPF program for seccomp: each rule is a block that a call's number jumps into and that ends in a verdict. Calls of
 * another architecture kill the process; calls newer than our tables, and x32's, do not exist.
 */
export function buildFilter(rules: readonly CallRule[], machine: Machine): Buffer {
  const program: Instruction[] = [
    loadWord(offsetOfArchitecture),
    ifEqual(machine.auditArchitecture, 1, 0),
    killProcess,
    loadWord(offsetOfCall),
    ifGreater(lastKnownCall, 0, 1),
    failWith(ENOSYS),
  ];
  for (const rule of rules) {
    const block = blockOf(rule);
    for (const call of rule.calls) {
      const number = callNumber(call, machine);
      if (number !== null) program.push(ifEqual(number, 0, block.length), ...block);
    }
  }
  program.push(allow);
  return encode(program);
}

function blockOf({ refuse }: CallRule): readonly Instruction[] {
  if (refuse === "always") return [failWith(EPERM)];
  if (refuse === "unknown") return [failWith(ENOSYS)];
  if ("unlessAll" in refuse) return [...refuse.unlessAll.flatMap((test) => refuseUnless(test)), allow];
  return [...refuse.ifAny.flatMap((test) => refuseIf(test)), allow];
}

/** Falls through when the test holds. */
function refuseUnless(test: ArgumentTest): Instruction[] {
  const load = loadWord(offsetOfArgument(test.argument));
  if ("hasBit" in test) return [load, ifBit(test.hasBit, 1, 0), failWith(EPERM)];
  const count = test.isOneOf.length;
  return [load, ...test.isOneOf.map((value, at) => ifEqual(value, count - at, 0)), failWith(EPERM)];
}

/** Falls through when the test does not hold. */
function refuseIf(test: ArgumentTest): Instruction[] {
  const load = loadWord(offsetOfArgument(test.argument));
  if ("hasBit" in test) return [load, ifBit(test.hasBit, 0, 1), failWith(EPERM)];
  const last = test.isOneOf.length - 1;
  return [load, ...test.isOneOf.map((value, at) => ifEqual(value, last - at, at === last ? 1 : 0)), failWith(EPERM)];
}

function encode(program: readonly Instruction[]): Buffer {
  const octets = Buffer.alloc(8 * program.length);
  for (const [at, [code, jt, jf, k]] of program.entries()) {
    octets.writeUInt16LE(code, 8 * at);
    octets.writeUInt8(jt, 8 * at + 2);
    octets.writeUInt8(jf, 8 * at + 3);
    octets.writeUInt32LE(k >>> 0, 8 * at + 4);
  }
  return octets;
}

const SECCOMP_SET_MODE_FILTER = 1;

/** Filters the calls of this thread, and of all it execs or starts, for good. Needs `forbidNewPrivileges`. */
export function restrictCalls(filter: Buffer, machine: Machine): KernelOutcome<void> {
  const program = Buffer.alloc(16); // struct sock_fprog
  program.writeUInt16LE(filter.length / 8, 0);
  program.writeBigUInt64LE(getRawPointer(filter), 8);
  const installed = systemCall(systemCalls.seccomp[machine.column], SECCOMP_SET_MODE_FILTER, 0, program);
  return installed < 0n ? kernelFailure("put up the seccomp filter") : worked(undefined);
}
