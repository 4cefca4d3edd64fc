import { defineFrame } from "./layout.ts";

/**
 * Between `local` and a `deliver` worker, beside the body, credit, forward, report, ended and settled of delivery.ts,
 * which mean here what they mean there. One stream a delivery, opened by `local`:
 *
 *   task, body*, bodyEnd  ->  credit*, (run -> ran)*, written*, forward*, report, ended
 *   at any time after the task: abandon, when nobody waits for the result any more
 *   or only a question: probe  ->  probed
 *
 * Paths, addresses and environments are octets (latin1 text).
 */

/** Where `home` comes from. 0: it is the home. 1: it is the folder of a domain whose mailboxes are folders below it. */
export const homeGiven = 0;
export const homeBelow = 1;
/** As 1, and a mailbox that does not exist is made. */
export const homeMade = 2;
/** It is the folder of one virtual mailbox; made when there is none, as is its Maildir. */
export const homeOwned = 3;
/** A folder that is no home: there is no .qmail file in it that counts. */
export const homeOfNobody = 4;

/**
 * One delivery. `name`, `number`, `octets` and `reversePath` as in `deliver`. `local` and `domain` are the address,
 * `dash` and `extension` say which .qmail file (with `homeOwned` dash is what divided the name; where the mailbox is
 * still to be found, what may divide it), `defaultDelivery` is what holds when there is none, `host` ends the names of
 * stored files. `quota` is that of the account, in the form of `maildirsize`, or ""; `fullIsPermanent` 1 has a message
 * fail for good that finds no room.
 */
export const task = defineFrame(48, {
  name: "text",
  number: "u32",
  octets: "u53",
  user: "text",
  home: "text",
  homeKind: "u8",
  local: "text",
  domain: "text",
  dash: "text",
  extension: "text",
  reversePath: "text",
  defaultDelivery: "text",
  host: "text",
  quota: "text",
  fullIsPermanent: "u8",
});
/** How a program ended: `signalled` 1 if by a signal, else its exit code, and the beginning of what it wrote. */
export const ran = defineFrame(49, { exitCode: "u8", signalled: "u8", output: "text" });
export const abandon = defineFrame(50, {});
/** Would a message find a mailbox here, and room in it? Fields as in `task`; nothing is made. */
export const probe = defineFrame(51, {
  home: "text",
  homeKind: "u8",
  local: "text",
  dash: "text",
  extension: "text",
  defaultDelivery: "text",
  quota: "text",
  fullIsPermanent: "u8",
});

/**
 * Something was written on a file system: the report must wait until it is flushed. `folder` is a descriptor of a
 * folder there which the worker keeps open.
 */
export const written = defineFrame(56, { device: "u53", folder: "u32" });
/**
 * Asks for `/bin/sh -c command` in `home`, its standard input the file open as `file` in the worker, read from its
 * start. `environment` is NAME=value. One at a time on a stream.
 */
export const run = defineFrame(57, { command: "text", home: "text", file: "u32", environment: "texts" });
/** `answer` as in `recipientAnswer` of directory.ts. */
export const probed = defineFrame(58, { answer: "u8" });
