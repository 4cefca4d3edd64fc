import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { DnsRule } from "./dns-server.ts";
import type { FarOrder, FarWord } from "./far-side.ts";
import type { Manners, Mishap } from "./rough-wire.ts";

const ip = (...args: string[]) => execFileSync("ip", args);

/**
 * Two hosts and a wire between them, each a network namespace: 10.99.0.1 and fd99::1 near, 10.99.0.2 and fd99::2 far, and
 * more addresses there as asked. Nothing of the machine's own network is touched. Needs root and `ip`.
 */
export class Wire implements Disposable {
  readonly near = `postern-near-${process.pid}`;
  readonly far = `postern-far-${process.pid}`;
  /** What happened to packets of a rough one, in order. */
  readonly mishaps: Mishap[] = [];
  #roughWire: ChildProcess | undefined;

  /** `isRough` is for `makeRough`, which then has the link made. */
  constructor(isRough = false) {
    ip("netns", "add", this.near);
    ip("netns", "add", this.far);
    if (isRough) return;
    ip("-n", this.near, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", this.far);
    this.#bringUp();
  }

  /** One that may have bad manners: `rough-wire.ts`, for as long as the wire is there. */
  static async makeRough(seed: number): Promise<Wire> {
    const wire = new Wire(true);
    const command = [process.execPath, join(import.meta.dirname, "rough-wire.ts"), wire.far, String(seed)];
    const child = spawn("ip", ["netns", "exec", wire.near, ...command], { stdio: ["pipe", "pipe", "inherit"] });
    wire.#roughWire = child;
    const lines = createInterface({ input: child.stdout });
    await Promise.race([once(lines, "line"), once(lines, "close")]);
    lines.on("line", (line) => wire.mishaps.push(line as Mishap));
    wire.#bringUp();
    return wire;
  }

  behave(manners: Manners): void {
    this.#roughWire?.stdin?.write(`${JSON.stringify(manners)}\n`);
  }

  #bringUp(): void {
    for (const [name, number] of [
      [this.near, 1],
      [this.far, 2],
    ] as const) {
      ip("-n", name, "address", "add", `10.99.0.${number}/24`, "dev", "wire");
      ip("-n", name, "address", "add", `fd99::${number}/64`, "dev", "wire", "nodad");
      ip("-n", name, "link", "set", "wire", "up");
      ip("-n", name, "link", "set", "lo", "up");
    }
  }

  addFar(address: string): void {
    execFileSync("ip", ["-n", this.far, "address", "add", `${address}/24`, "dev", "wire"]);
  }

  /** Both ends: `ip link set wire ...`. */
  link(...settings: string[]): void {
    for (const name of [this.near, this.far]) execFileSync("ip", ["-n", name, "link", "set", "wire", ...settings]);
  }

  /** Both ends: `tc qdisc ACTION dev wire root ...`. */
  shape(action: "add" | "del", ...settings: string[]): void {
    for (const name of [this.near, this.far]) {
      execFileSync("tc", ["-n", name, "qdisc", action, "dev", "wire", "root", ...settings]);
    }
  }

  [Symbol.dispose](): void {
    this.#roughWire?.kill("SIGKILL");
    for (const name of [this.near, this.far]) execFileSync("ip", ["netns", "delete", name]);
  }
}

type Taken = Extract<FarWord, { say: "taken" }>;
type Sent = Extract<FarWord, { say: "sent" }>;

/** The far host at work: `far-side.ts`, running in its namespace. */
export class Far implements AsyncDisposable {
  readonly taken: Taken[] = [];
  readonly sent: Sent[] = [];
  readonly #process: ChildProcess;
  readonly #healed = new Map<string, () => void>();

  private constructor(process: ChildProcess) {
    this.#process = process;
  }

  static async start(wire: Wire, rules: readonly (readonly [string, DnsRule])[], ...peers: string[]): Promise<Far> {
    const script = join(import.meta.dirname, "far-side.ts");
    const command = ["netns", "exec", wire.far, process.execPath, script, JSON.stringify(rules), ...peers];
    const child = spawn("ip", command, { stdio: ["pipe", "pipe", "inherit"] });
    const far = new Far(child);
    const begun = Promise.withResolvers<void>();
    createInterface({ input: child.stdout }).on("line", (line) => {
      const word = JSON.parse(line) as FarWord;
      if (word.say === "begun") begun.resolve();
      else if (word.say === "healed") far.#healed.get(word.address)?.();
      else if (word.say === "taken") far.taken.push(word);
      else far.sent.push(word);
    });
    await begun.promise;
    return far;
  }

  order(order: FarOrder): void {
    this.#process.stdin?.write(`${JSON.stringify(order)}\n`);
  }

  /** Takes the fault of an address away; resolves when it is gone. */
  async heal(address: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#healed.set(address, resolve);
    this.order({ order: "heal", address });
    await promise;
  }

  takenFor(forwardPath: string): number {
    return this.taken.filter(({ forwardPaths }) => forwardPaths.includes(forwardPath)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#process, "exit");
    this.#process.stdin?.end();
    await exited;
  }
}
