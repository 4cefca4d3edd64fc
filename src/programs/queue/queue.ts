import type { Settings } from "../../protocol/control/table.ts";
import { longestWaitMs } from "../../protocol/schedule/retry.ts";
import { windowRecipients } from "../../protocol/schedule/scheduler.ts";
import type { Channel, ChannelEvents } from "../../services/channel/channel.ts";
import { Actions } from "./actions.ts";
import { Admissions } from "./admission.ts";
import { Core, type CoreOptions } from "./core.ts";
import { Dispatch } from "./dispatch.ts";
import { Filler } from "./fill.ts";
import { Intake } from "./intake.ts";
import { type Answer, Operator } from "./operator.ts";
import { Settler } from "./settle.ts";

/** Makes a channel that tells us of its frames: a socket's in production, a fake one in tests. */
export type Connect = (events: ChannelEvents) => Channel;

/** How much the queue has in memory. Each has a bound, however much waits on disk. */
export interface Sizes {
  readonly messages: number;
  readonly local: number;
  readonly remote: number;
  readonly destinations: number;
  readonly unwrittenGroups: number;
  readonly cachedOctets: number;
  readonly incomingOctets: number;
  readonly reportedOctets: number;
}

export interface Queue {
  /** Connects a program by its name: `local` and `remote` deliver, whoever else there is hands in mail. */
  connect(name: string, connect: Connect): void;
  operate(line: string, uid: number, answer: Answer): Promise<void>;
  reload(settings: Settings): void;
  sizes(): Sizes;
  /** Nothing new starts; what runs has `stopMs` to end; then all is written and the store closed. */
  stop(): Promise<void>;
}

/** Deliveries may take so long to end after a stop. */
const stopMs = 8_000;
/** How often the clock is looked at, and how often it is written down. */
const watchMs = 60_000;
const writeClockMs = 600_000;

/** Puts the parts together, and begins with what the store holds. */
export function createQueue(options: CoreOptions): Queue {
  const core = new Core(options);
  const admissions = new Admissions(core);
  const settler = new Settler(core, admissions);
  const filler = new Filler(core, settler);
  const dispatch = new Dispatch(core, settler);
  const intake = new Intake(core, admissions);
  const operator = new Operator(core, new Actions(core));
  const watch = new Watch(core, filler);
  core.logStatus();
  watch.begin();

  return {
    connect(name, connect) {
      if (name === "local" || name === "remote") dispatch.connect(name, connect);
      else intake.connect(connect);
    },
    operate: (line, uid, answer) => operator.serve(line, uid, answer),
    reload: (settings) => core.reload(settings),
    sizes: () => ({
      messages: core.active.size,
      local: windowRecipients - core.scheduler.room("local"),
      remote: windowRecipients - core.scheduler.room("remote"),
      destinations: core.scheduler.destinations,
      unwrittenGroups: core.committer.waiting,
      cachedOctets: core.active.cachedOctets,
      incomingOctets: intake.heldOctets,
      reportedOctets: dispatch.heldOctets,
    }),
    async stop() {
      intake.close();
      watch.stop();
      filler.stop();
      core.step({ kind: "exit" });
      core.logStatus();
      await dispatch.idle(stopMs);
      dispatch.close();
      await core.committer.flushed();
      await core.storage.close();
    },
  };
}

/** Looks at the clock now and then, and puts right what a jump put wrong. */
class Watch {
  readonly #core: Core;
  readonly #filler: Filler;
  #cancel: () => void = () => {};
  #writtenMs = 0;

  constructor(core: Core, filler: Filler) {
    this.#core = core;
    this.#filler = filler;
  }

  begin(): void {
    this.#core.clockIsOff = () => this.#look();
    this.#clamp(); // always: the last time written down is no older than ten minutes, which is long enough for a jump
    this.#filler.lookAgain();
    this.#look();
  }

  stop(): void {
    this.#cancel();
  }

  #look(): void {
    const { clock, watch, committer } = this.#core;
    const wallMs = clock.wallMs();
    const steadyMs = clock.steadyMs();
    const jumped = watch.observe(wallMs, steadyMs);
    if (jumped) this.#clamp(); // forward as well: it may have gone further, and back again, between two looks
    if (jumped) {
      this.#core.log({ event: "warning", text: `the clock jumped ${jumped}: no message is given up for an hour` });
      this.#filler.lookAgain();
    }
    if (jumped || this.#writtenMs === 0 || steadyMs - this.#writtenMs >= writeClockMs) {
      this.#writtenMs = steadyMs;
      committer.require([{ kind: "clock", nowMs: wallMs }]);
    }
    this.#cancel();
    this.#cancel = clock.after(watchMs, () => this.#look());
  }

  /** Times made by a clock that was ahead: nothing waits longer than it would have to by today's. */
  #clamp(): void {
    const { clock, settings, committer } = this.#core;
    const nowMs = clock.wallMs();
    const latestMs = nowMs + longestWaitMs(settings.queuelifetime);
    this.#core.step({ kind: "clamp", latestMs });
    committer.require([{ kind: "clamp", nowMs, latestMs }], () => this.#filler.lookAgain());
  }
}
