import type { Clock } from "../../src/programs/queue/clock.ts";
import type { Queue } from "../../src/programs/queue/queue.ts";
import type { Settings } from "../../src/protocol/control/table.ts";
import type { Storage } from "../../src/services/storage/storage.ts";
import type { Link } from "./link.ts";
import type { Fault } from "./profile.ts";
import type { World } from "./world.ts";

/** A deliberate fault, put between the queue and what it stands on: each must be noticed. */
export interface Mutant {
  storage?(storage: Storage, world: World): Storage;
  /** What the queue is told instead of the administrator's word. */
  settings?(settings: Settings): Settings;
  /** The queue hears the end of a delivery at this moment. */
  onEnded?(link: Link, stream: number): void;
  /** What stands between the queue and everybody else. */
  queue?(queue: Queue): Queue;
  clock?(clock: Clock): Clock;
  /** `deliver` keeps no marks. */
  readonly forgetsMarks?: boolean;
  /** `deliver` marks what it is about to do. */
  readonly marksFirst?: boolean;
  /** Shows only when this happens, so it does, often. */
  readonly needs?: Fault;
  /** Shows only when more waits than fits in memory. */
  readonly needsFlood?: boolean;
}
