import { closeSync } from "node:fs";
import type { Socket } from "node:net";
import { dirname } from "node:path";
import type { Settings } from "../../protocol/control/table.ts";
import { done, type Outcome, temporary } from "../../protocol/outcome.ts";
import { mailboxDomains } from "../../protocol/users/mailbox-domains.ts";
import { createAccountBook } from "../../services/directory/account-book.ts";
import { createAccounts } from "../../services/directory/accounts.ts";
import { type Assignments, assignmentsVersion, readAssignments } from "../../services/directory/assignments.ts";
import { type Directory, routeAddress } from "../../services/directory/route.ts";
import { deviceOf, openDirectoryOf, syncFileSystem } from "../../services/kernel/flush.ts";
import { launch } from "../../services/launch/launch.ts";
import { pathOf } from "../../services/maildir/file.ts";
import type { Given, Program } from "../../services/program/program.ts";
import { checkPassword, type Letter } from "./check-password.ts";
import { readFacts } from "./facts.ts";
import { createFlusher } from "./flush.ts";
import { findMailbox, maildirOf, placeOf } from "./mailbox.ts";
import { createMailboxes } from "./mailboxes.ts";
import { serveDirectory } from "./serve-directory.ts";
import { serveSessions } from "./serve-pop3d.ts";
import { type Desk, type QueueLink, serveQueue } from "./serve-queue.ts";
import { createTickets } from "./tickets.ts";
import { createWorker } from "./worker.ts";
import { createWorkers } from "./workers.ts";

const passwdPath = "/etc/passwd";
/** Of all local deliveries at once, as many may run programs of one user; a part of them stays for others. */
const shareOfOneUser = 0.8;
const mostUnflushed = 50;
/** Deliveries that run get so long to end when we stop; then programs are told to, and get a little more. */
const stopMs = 6_000;
const programsStopMs = 1_000;

/** Whether users/ has changed is looked for at most so often, and only when there is mail. */
const lookAgainAfterMs = 1_000;

/** Takes up work: reads users/cdb or users/assign, and waits for `queue`. */
export async function begin(given: Given): Promise<Outcome<Program>> {
  const read = readFacts(given.facts);
  if (read.kind !== "done") return read;
  const facts = read.value;
  const accounts = createAccounts(passwdPath);
  const book = createAccountBook(facts.accountsFile);
  const links = new Set<QueueLink>();
  let settings = given.settings;
  let version = assignmentsVersion(facts.usersFolder);
  let lookedMs = performance.now();
  let assign = readAssignments(facts.usersFolder);
  if (assign.kind !== "done") given.log({ event: "alert", text: `${assign.text}: local mail waits` });
  let directory = directoryOf(settings, assign);
  let homes = homesByOwner(assign);
  let isOpen = true;
  let whenIdle = (): void => {};

  function directoryOf(now: Settings, table: Outcome<Assignments>): Directory {
    const hasAccounts = !facts.embedded && now.systemusers === 1;
    return {
      facts,
      assign: table,
      mailboxDomains: mailboxDomains(now.mailboxdomains),
      delimiters: now.extensiondelimiters,
      book,
      accounts: hasAccounts ? accounts : undefined,
    };
  }

  const readAgain = (): void => {
    lookedMs = performance.now();
    version = assignmentsVersion(facts.usersFolder);
    const again = readAssignments(facts.usersFolder);
    if (again.kind === "done") assign = again;
    else {
      const meanwhile = assign.kind === "done" ? "the old assignments stay" : "local mail waits";
      given.log({ event: "alert", text: `${again.text}: ${meanwhile}` });
    }
    directory = directoryOf(settings, assign);
    homes = homesByOwner(assign);
    workers.retire();
  };
  /** As with qmail, a new users/cdb counts without a word to anybody. */
  const lookForChange = (): void => {
    if (performance.now() - lookedMs < lookAgainAfterMs) return;
    lookedMs = performance.now();
    if (assignmentsVersion(facts.usersFolder) !== version) readAgain();
  };

  const serverRoot = facts.embedded ? dirname(facts.usersFolder) : undefined;
  // Half of all places may be taken by those that wait for a flush.
  const flusher = createFlusher(syncFileSystem, () => Math.min(mostUnflushed, settings.concurrencylocal / 2));
  const workers = createWorkers({
    facts,
    mailFolders: () => settings.mailfolders,
    homesOf: (owner) => homes.get(owner) ?? [],
    mostProgramsOfOneUser: () => Math.max(1, Math.floor(settings.concurrencylocal * shareOfOneUser)),
    start: (plan, options) => {
      const child = launch(plan, { stdio: ["ignore", "ignore", "inherit", "pipe"] });
      return createWorker(child, { ...options, openFolder, serverRoot, flush: flusher.now });
    },
    log: given.log,
  });
  const desk: Desk = {
    route(address) {
      lookForChange();
      return routeAddress(address, directory);
    },
    workers,
    flusher,
    held: { octets: 0 },
    defaultDelivery: () => settings.defaultdelivery.join("\n"),
    host: () => settings.me,
    fullIsPermanent: () => settings.overquota === "permanent",
    isOpen: () => isOpen,
  };
  const tickets = createTickets(() => performance.now());
  const mailboxes = createMailboxes({
    embedded: facts.embedded,
    plan: facts.pop3session,
    start: (plan, folder) => launch(plan, { stdio: ["ignore", "ignore", "inherit", "pipe"], args: [folder] }),
    log: given.log,
  });
  const maildirNow = (): string => maildirOf(settings.defaultdelivery);
  const place = async (address: string) => placeOf(address, await desk.route(address), maildirNow());
  const sessions = {
    ...{ tickets, mailboxes, isOpen: () => isOpen },
    find: async (address: string) => findMailbox(address, await desk.route(address), maildirNow()),
  };

  const askChecker = async (account: string, password: Buffer): Promise<Letter> =>
    settings.checkpassword === "" ? "Z" : await checkPassword(settings.checkpassword, account, password);

  return done({
    peer(name, socket: Socket) {
      if (name === "directory") {
        return void serveDirectory(socket, { ...desk, tickets, place, checkPassword: askChecker });
      }
      if (name === "pop3d") return void serveSessions(socket, sessions);
      if (name !== "queue") return void socket.destroy();
      const link = serveQueue(socket, desk, {
        whenIdle: () => whenIdle(),
        whenClosed() {
          links.delete(link);
          whenIdle();
        },
      });
      links.add(link);
    },
    reload(fresh) {
      settings = fresh;
      readAgain();
      given.log({ event: "reloaded" });
    },
    async stop() {
      isOpen = false;
      const idle = (): boolean => [...links].every((link) => link.openDeliveries === 0);
      const waitForIdle = (limitMs: number): Promise<void> => {
        const { promise, resolve } = Promise.withResolvers<void>();
        const timer = setTimeout(resolve, limitMs);
        whenIdle = () => {
          if (!idle()) return;
          clearTimeout(timer);
          resolve();
        };
        whenIdle();
        return promise;
      };
      await waitForIdle(stopMs);
      workers.endPrograms();
      await waitForIdle(programsStopMs);
      for (const link of links) link.close();
      workers.close();
      mailboxes.close();
    },
  });
}

/** All homes of one owner, so that the first worker started for it is walled in by all of them at once. */
function homesByOwner(assign: Outcome<Assignments>): ReadonlyMap<string, readonly string[]> {
  if (assign.kind !== "done") return new Map();
  const { exact, wildcards } = assign.value.table;
  const assignments = [...exact.values(), ...wildcards.values()];
  const byOwner = Map.groupBy(assignments, ({ uid, gid }) => `${uid}:${gid}`);
  return new Map([...byOwner].map(([owner, list]) => [owner, list.map(({ home }) => pathOf(home))]));
}

function openFolder(pid: number, descriptor: number, device: number): Outcome<number> {
  const opened = openDirectoryOf(pid, descriptor);
  if (opened.kind !== "done") return opened;
  if (deviceOf(opened.value) === device) return opened;
  closeSync(opened.value);
  return temporary("3.0", `folder ${descriptor} of process ${pid} is on another device`);
}
