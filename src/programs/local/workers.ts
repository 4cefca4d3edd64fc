import { existsSync } from "node:fs";
import { dirname } from "node:path";
import type { Event } from "../../protocol/event/event.ts";
import { done, type Failure, type Outcome, temporary } from "../../protocol/outcome.ts";
import type { Confinement } from "../../services/directory/route.ts";
import type { LaunchPlan } from "../../services/launch/plan.ts";
import type { LocalFacts } from "./facts.ts";
import type { Worker, WorkerOptions } from "./worker.ts";

/** The `deliver` processes: one for each user who gets mail now, kept warm for a while. */
export interface Workers {
  /**
   * Gives the worker for this confinement, started if there is none: at once if it can, else when another has nothing
   * left to do. Gives up when all places stay taken for a minute.
   */
  take(confinement: Confinement, give: (worker: Outcome<Worker>) => void): void;
  /** No worker gets another delivery; each ends when it has nothing left to do. */
  retire(): void;
  /** Ends those: what they have is given up, and repeated by others who must not meet them at it. */
  endRetired(): void;
  endPrograms(): void;
  /** Ends all of them. */
  close(): void;
}

export interface WorkersOptions {
  readonly facts: Pick<LocalFacts, "embedded" | "deliver">;
  /** Folders outside their homes that users may write to. */
  readonly mailFolders: () => readonly string[];
  /** The homes that are assigned to one owner, by "uid:gid". */
  readonly homesOf: (owner: string) => readonly string[];
  /** Programs of one user at once: those that never end must leave places to other users. */
  readonly mostProgramsOfOneUser: () => number;
  readonly start: (
    plan: LaunchPlan,
    options: Pick<WorkerOptions, "as" | "mayRun" | "whenIdle" | "whenClosed">,
  ) => Worker;
  readonly log: (event: Event) => void;
}

export const maxWorkers = 50;
const maxFolders = 32;
const idleMs = 60_000;
/** The worker of the virtual mailboxes: most mail is theirs. */
const mailIdleMs = 3_600_000;
const lookForIdleMs = 10_000;
const longestWaitMs = 60_000;
const maxWaiting = 10_000;

interface Place {
  readonly worker: Worker;
  readonly confinement: Confinement;
  /** What it may write to. */
  readonly folders: readonly string[];
  isRetired: boolean;
}

interface Waiting {
  readonly confinement: Confinement;
  readonly give: (worker: Outcome<Worker>) => void;
  readonly sinceMs: number;
}

/** Starts workers with `start` and ends those that have been idle for a minute. */
export function createWorkers(options: WorkersOptions): Workers {
  const places = new Set<Place>();
  let waiting: Waiting[] = [];

  const endIdle = (): void => {
    const nowMs = performance.now();
    for (const { worker, confinement, isRetired } of places) {
      const keptMs = isRetired ? 0 : confinement.isUser ? idleMs : mailIdleMs;
      if (worker.isIdle && nowMs - worker.lastUsedMs >= keptMs) worker.close();
    }
  };
  const endWaits = (): void => {
    const beforeMs = performance.now() - longestWaitMs;
    const tired = waiting.filter(({ sinceMs }) => sinceMs < beforeMs);
    if (tired.length === 0) return;
    waiting = waiting.filter(({ sinceMs }) => sinceMs >= beforeMs);
    for (const { give } of tired) give(tooMany);
  };
  const timer = setInterval(() => {
    endIdle();
    endWaits();
  }, lookForIdleMs).unref();

  const find = (key: string): Place | undefined => {
    for (const place of places) if (place.confinement.key === key && !place.isRetired) return place;
    return undefined;
  };

  const programsOf = (key: string): number => {
    let running = 0;
    for (const { worker, confinement } of places) if (confinement.key === key) running += worker.runningPrograms;
    return running;
  };

  const makeRoom = (): boolean => {
    if (places.size < maxWorkers) return true;
    const idle = [...places].filter(({ worker }) => worker.isIdle);
    idle.sort((one, other) => one.worker.lastUsedMs - other.worker.lastUsedMs);
    idle[0]?.worker.close();
    return places.size < maxWorkers;
  };

  const start = (confinement: Confinement, folders: readonly string[]): Worker => {
    const { key, uid, gid, isUser } = confinement;
    const as = options.facts.embedded ? undefined : { uid, gid };
    const mailFolders = options.mailFolders().filter((folder) => existsSync(folder));
    const wall = {
      ...options.facts.deliver.wall,
      ...(as && { user: as }),
      write: isUser && !options.facts.embedded ? [...folders, ...mailFolders] : folders,
    };
    const worker = options.start(
      { ...options.facts.deliver, wall },
      {
        as,
        mayRun: () => programsOf(key) < options.mostProgramsOfOneUser(),
        whenIdle: soon,
        whenClosed(why) {
          places.delete(place);
          soon();
          if (why !== "closed") options.log({ event: "warning", text: `deliver for ${key} ended: ${why}` });
        },
      },
    );
    const place: Place = { worker, confinement, folders, isRetired: false };
    places.add(place);
    return worker;
  };

  /** The worker, a failure, or "wait" when every place is taken by one with something to do. */
  const workerFor = (confinement: Confinement): Outcome<Worker> | "wait" => {
    const current = find(confinement.key);
    if (current && isWithin(confinement.folder, current.folders)) return done(current.worker);
    // Walls are built around folders that exist. One that is not there yet widens them when it comes.
    if (!existsSync(confinement.folder)) return noFolder(confinement.folder);
    if (!makeRoom()) return "wait";
    if (current) current.isRetired = true;
    const wanted = [confinement.folder, ...(current?.folders ?? []), ...options.homesOf(confinement.key)];
    return done(
      start(
        confinement,
        fewFolders(wanted, maxFolders).filter((folder) => existsSync(folder)),
      ),
    );
  };

  /** Not now: what a worker that gives way has just written is about to be handed over to be flushed by its descriptors. */
  const soon = (): void => {
    if (waiting.length > 0) setImmediate(giveNext);
  };

  /** In the order they came, but nobody waits for a worker that is there. */
  function giveNext(): void {
    const before = waiting;
    waiting = [];
    for (const each of before) {
      const worker = workerFor(each.confinement);
      if (worker === "wait") waiting.push(each);
      else each.give(worker);
    }
  }

  return {
    take(confinement, give) {
      const worker = workerFor(confinement);
      if (worker !== "wait") give(worker);
      else if (waiting.length >= maxWaiting) give(tooMany);
      else waiting.push({ confinement, give, sinceMs: performance.now() });
    },
    retire() {
      for (const place of places) place.isRetired = true;
    },
    endRetired() {
      for (const { worker, isRetired } of places) if (isRetired) worker.close();
    },
    endPrograms() {
      for (const { worker } of places) worker.endPrograms();
    },
    close() {
      clearInterval(timer);
      for (const { worker } of places) worker.close();
    },
  };
}

const tooMany = temporary("3.2", "too many users at once, try later. (#4.3.2)");

const noFolder = (folder: string): Failure =>
  temporary("3.0", `Unable to switch to ${folder}: file does not exist. (#4.3.0)`);

const isWithin = (folder: string, folders: readonly string[]): boolean =>
  folders.some((wall) => folder === wall || folder.startsWith(asParent(wall)));

/** How the paths of what is in a folder begin. */
const asParent = (folder: string): string => (folder.endsWith("/") ? folder : `${folder}/`);

/**
 * These folders, or, when they are too many to be walls one by one, the folders they are in. None is within another:
 * Node's permissions for both a folder and one below it (measured on 26.10) deny the upper one.
 */
export function fewFolders(folders: readonly string[], most: number): readonly string[] {
  const sorted = [...new Set(folders)].sort((a, b) => (asParent(a) < asParent(b) ? -1 : 1));
  const outer: string[] = [];
  for (const folder of sorted) if (!isWithin(folder, outer.slice(-1))) outer.push(folder);
  return outer.length <= most ? outer : fewFolders(outer.map(dirname), most);
}
