import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { type KernelFailure, type KernelOutcome, kernelFailure, systemCall, worked } from "./libc.ts";
import { osReason } from "./os-reason.ts";
import { systemCalls } from "./system-calls.ts";

/** What a path, and all below it, is opened up for. Everything else of the file system is shut. */
export type PathRight = "read" | "execute" | "change";

export interface LandlockRules {
  readonly paths: readonly (readonly [path: string, right: PathRight])[];
  readonly tcpConnect: boolean;
  /** The kernel's, from `landlockAbi`: later rights are left out where it does not know them. */
  readonly abi: number;
}

const execute = 1n << 0n;
const writeFile = 1n << 1n;
const readFile = 1n << 2n;
const readDir = 1n << 3n;
const refer = 1n << 13n;
const truncate = 1n << 14n;
const ioctlDevice = 1n << 15n;
/** The thirteen rights of ABI 1. */
const firstRights = (1n << 13n) - 1n;
/** Among the rights of ABI 1, those to make devices: nobody's. */
const makeDevices = (1n << 6n) | (1n << 11n);
const rightsOfFiles = execute | writeFile | readFile | truncate | ioctlDevice;
const bindTcp = 1n << 0n;
const connectTcp = 1n << 1n;
const scopeAbstractSockets = 1n << 0n;
const scopeSignals = 1n << 1n;

const LANDLOCK_CREATE_RULESET_VERSION = 1;
const LANDLOCK_RULE_PATH_BENEATH = 1;
const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;

/** Landlock's version in this kernel, at least 1. Fails where there is none: too old, switched off, or forbidden to us. */
export function landlockAbi(): KernelOutcome<number> {
  const version = systemCall(systemCalls.landlock_create_ruleset[0], 0, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return version < 0n ? kernelFailure("ask for Landlock") : worked(Number(version));
}

/**
 * Shuts the file system but for `paths`; TCP bind, and connect unless allowed (ABI 4); abstract sockets of and signals
 * to all outside (ABI 6). Of the calling thread and what it execs; needs `forbidNewPrivileges`. A path to read that
 * does not exist is passed over; one to change must be there.
 */
export function restrictByLandlock(rules: LandlockRules): KernelOutcome<void> {
  const files = handledRights(rules.abi);
  const created = systemCall(systemCalls.landlock_create_ruleset[0], ...rulesetAttributes(rules, files), 0);
  if (created < 0n) return kernelFailure("create a Landlock ruleset");
  const ruleset = Number(created);
  try {
    for (const [path, right] of rules.paths) {
      const failure = openUp(ruleset, path, right, files);
      if (failure) return failure;
    }
    const restricted = systemCall(systemCalls.landlock_restrict_self[0], ruleset, 0);
    return restricted < 0n ? kernelFailure("put up Landlock") : worked(undefined);
  } finally {
    closeSync(ruleset);
  }
}

function handledRights(abi: number): bigint {
  return firstRights | (abi >= 2 ? refer : 0n) | (abi >= 3 ? truncate : 0n) | (abi >= 5 ? ioctlDevice : 0n);
}

/** struct landlock_ruleset_attr, as long as the ABI knows it. */
function rulesetAttributes(rules: LandlockRules, files: bigint): [Uint8Array, number] {
  const attributes = Buffer.alloc(rules.abi >= 6 ? 24 : rules.abi >= 4 ? 16 : 8);
  attributes.writeBigUInt64LE(files, 0);
  if (rules.abi >= 4) attributes.writeBigUInt64LE(rules.tcpConnect ? bindTcp : bindTcp | connectTcp, 8);
  if (rules.abi >= 6) attributes.writeBigUInt64LE(scopeAbstractSockets | scopeSignals, 16);
  return [attributes, attributes.length];
}

const rightBits = {
  read: readFile | readDir,
  execute: execute | readFile,
  change: (firstRights & ~execute & ~makeDevices) | refer | truncate,
} as const satisfies Record<PathRight, bigint>;

function openUp(ruleset: number, path: string, right: PathRight, handled: bigint): KernelFailure | undefined {
  let fd: number;
  try {
    fd = openSync(path, O_PATH | O_CLOEXEC);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "EIO";
    if (right !== "change" && code === "ENOENT") return undefined;
    return { kind: "temporary", status: "3.0", text: `cannot open ${path} to confine to it: ${osReason(error)}`, code };
  }
  try {
    const isFolder = (fstatSync(fd).mode & constants.S_IFMT) === constants.S_IFDIR;
    const rights = rightBits[right] & handled & (isFolder ? ~0n : rightsOfFiles);
    const rule = Buffer.alloc(12); // struct landlock_path_beneath_attr, packed
    rule.writeBigUInt64LE(rights, 0);
    rule.writeInt32LE(fd, 8);
    const added = systemCall(systemCalls.landlock_add_rule[0], ruleset, LANDLOCK_RULE_PATH_BENEATH, rule, 0);
    return added < 0n ? kernelFailure(`open up ${path}`) : undefined;
  } finally {
    closeSync(fd);
  }
}
