/**
 * A wire that loses, doubles, damages and delays packets, each by lot, so that they also arrive in another order: what
 * the kernel's own queueing has no means for. Two TUN devices, and this program between them. Started by `makeRough` of
 * wire.ts in the near namespace; makes the device `wire` there and in the far one. It is told its manners, as JSON, a
 * line each time, and says what happened to a packet, a word a line.
 *
 *   rough-wire.ts FAR-NAMESPACE SEED
 */
import { execFileSync } from "node:child_process";
import { dlopen } from "node:ffi";
import { constants, openSync, read, write } from "node:fs";
import { createInterface } from "node:readline";
import { seeded } from "./seeded.ts";

/** The share of the packets, each way, and the longest delay in ms. */
export interface Manners {
  readonly lost: number;
  readonly doubled: number;
  /** One bit of them is another. */
  readonly damaged: number;
  readonly delayMs: number;
}
export type Mishap = "lost" | "doubled" | "damaged" | "overtaken";

const [far = "", seed = "1"] = process.argv.slice(2);
let manners: Manners = { lost: 0, doubled: 0, damaged: 0, delayMs: 0 };
const random = seeded(Number(seed));
const maxPacketOctets = 65_536;

const tunSetIff = 0x400454can;
const iffTun = 1;
const iffNoHeader = 0x1000;
const { ioctl } = dlopen("libc.so.6", { ioctl: { arguments: ["i32", "u64", "pointer"], return: "i32" } }).functions;

/** The descriptor through which packets of a new device come and go. */
function makeDevice(name: string): number {
  const fd = openSync("/dev/net/tun", constants.O_RDWR);
  const request = Buffer.alloc(40);
  request.write(name, "latin1");
  request.writeUInt16LE(iffTun | iffNoHeader, 16);
  if (ioctl(fd, tunSetIff, request) < 0) throw new Error(`cannot make the device ${name}`);
  return fd;
}

const say = (mishap: Mishap): void => console.log(mishap);

/** One way of the wire. */
class Way {
  readonly #from: number;
  readonly #to: number;
  #taken = 0;
  #latest = 0;

  constructor(from: number, to: number) {
    this.#from = from;
    this.#to = to;
  }

  /** Carries what comes, for ever. */
  run(): void {
    const packet = Buffer.alloc(maxPacketOctets);
    read(this.#from, packet, 0, packet.length, null, (error, octets) => {
      if (error) throw error;
      this.#carry(packet.subarray(0, octets));
      this.run();
    });
  }

  #carry(packet: Buffer): void {
    const happens = (mishap: Exclude<Mishap, "overtaken">): boolean => {
      const isSo = random() < manners[mishap];
      if (isSo) say(mishap);
      return isSo;
    };
    if (happens("lost")) return;
    this.#send(packet);
    if (happens("doubled")) this.#send(packet);
    if (!happens("damaged")) return;
    const at = Math.floor(random() * packet.length);
    packet[at] = (packet[at] ?? 0) ^ (1 << Math.floor(random() * 8)); // before it is sent
  }

  #send(packet: Buffer): void {
    const number = ++this.#taken;
    setTimeout(() => {
      if (number < this.#latest) say("overtaken");
      this.#latest = Math.max(this.#latest, number);
      write(this.#to, packet, () => {}); // what the kernel does not take, as what is no packet any more, is lost
    }, random() * manners.delayMs);
  }
}

const near = makeDevice("wire");
const other = makeDevice("wire-far");
execFileSync("ip", ["link", "set", "wire-far", "netns", far, "name", "wire"]);
new Way(near, other).run();
new Way(other, near).run();
const orders = createInterface({ input: process.stdin });
orders.on("line", (line) => {
  manners = JSON.parse(line);
});
orders.on("close", () => process.kill(process.pid, "SIGKILL")); // an exit waits for reads, and these wait for ever
console.log("begun");
