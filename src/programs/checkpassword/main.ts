#!/usr/bin/env node
import { closeSync, readSync } from "node:fs";
import { parseIp } from "../../protocol/network/network.ts";
import { maxInputOctets, parseCheckpasswordInput } from "../../protocol/password/checkpassword.ts";
import { findLayout, isSystemLayout } from "../../services/layout/find-layout.ts";
import { authSocket } from "../../services/layout/layout.ts";
import { exitTryAgain } from "../../services/program/message.ts";
import { askAuthd } from "./ask.ts";
import { becomeUser, runInstead } from "./become.ts";
import { environmentFor } from "./environment.ts";

const usage =
  "usage: postern-checkpassword program [argument ...]\n" +
  "Reads name, password and timestamp, each with a NUL behind it, from descriptor 3, and becomes the program if that is\n" +
  "the account's password. Exits with 1 if it is not, 2 if misused, 3 if Dovecot asks for somebody who does not exist,\n" +
  "111 if it cannot tell now.\n";
const exitWrong = 1;
const exitMisused = 2;
const exitNobody = 3;
const inputFd = 3;

const [descriptors = "", ...command] = process.argv.slice(2);
process.exit(await check());

async function check(): Promise<number> {
  const input = parseCheckpasswordInput(readInput() ?? Buffer.alloc(0));
  if (!input || command.length === 0) return fail(exitMisused, usage);
  const { account, password } = input;
  const { AUTHORIZED, ORIG_UID } = process.env;
  // Dovecot looks for an account without a password of its, to deliver or to look after the mailbox. It sets both: others,
  // who start something as that user, are not to do so for an empty password.
  const isSearch = AUTHORIZED === "1" && ORIG_UID !== undefined && password.length === 0;
  if (!isSearch && password.length === 0) return exitWrong;
  const { TCPREMOTEIP: remote = "" } = process.env;
  const address = parseIp(remote) ? remote : "";
  const layout = findLayout(undefined, process.env);
  const asked = await askAuthd(authSocket(layout), { account, ...(isSearch ? {} : { password }), address });
  if (asked.kind === "permanent") return isSearch ? exitNobody : exitWrong;
  if (asked.kind !== "done") return fail(exitTryAgain, `postern-checkpassword: ${asked.text}\n`);
  // Dovecot, which tells us who it is, becomes the user itself; so does whoever is not root anyway.
  const isToBecome = process.getuid?.() === 0 && ORIG_UID === undefined && isSystemLayout(layout);
  const became = isToBecome ? becomeUser(asked.value) : undefined;
  if (became && became.kind !== "done") return fail(exitTryAgain, `postern-checkpassword: ${became.text}\n`);
  const given = descriptors.split(",").filter(Boolean).map(Number);
  const failure = runInstead(command, environmentFor(asked.value, process.env), given);
  return fail(exitTryAgain, `postern-checkpassword: ${failure.kind === "done" ? "" : failure.text}\n`);
}

/** All there is to read, or one octet too many; `undefined` when there is nothing to read from. */
function readInput(): Buffer | undefined {
  const octets = Buffer.alloc(maxInputOctets + 1);
  let length = 0;
  try {
    for (let got = -1; got !== 0 && length < octets.length; length += got) {
      got = readSync(inputFd, octets, length, octets.length - length, null);
    }
    closeSync(inputFd);
  } catch {
    return undefined;
  }
  return octets.subarray(0, length);
}

function fail(code: number, text: string): number {
  process.stderr.write(text);
  return code;
}
