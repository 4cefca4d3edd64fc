import type { Settings } from "../../src/protocol/control/table.ts";
import type { Storage } from "../../src/services/storage/storage.ts";
import type { Link } from "./link.ts";
import type { World } from "./world.ts";

/** A deliberate fault, put between the queue and what it stands on: each must be noticed. */
export interface Mutant {
  storage?(storage: Storage, world: World): Storage;
  /** What the queue is told instead of the administrator's word. */
  settings?(settings: Settings): Settings;
  /** The queue hears the end of a delivery at this moment. */
  onEnded?(link: Link, stream: number): void;
  /** `deliver` keeps no marks. */
  readonly forgetsMarks?: boolean;
  /** Shows only when more waits than fits in memory. */
  readonly needsFlood?: boolean;
}
