import { Buffer } from "node:buffer";
import type { Network } from "../../../src/programs/remote/network.ts";
import { ended, report } from "../../../src/protocol/wire/delivery.ts";
import type { Frame } from "../../../src/protocol/wire/frame.ts";
import { createFrameReader } from "../../../src/protocol/wire/frame.ts";
import type { Dns } from "../../../src/services/dns/dns.ts";

/** A deliberate fault between `remote` and the world: each must be noticed. */
export interface Mutant {
  /** What leaves and arrives instead of what should. */
  sends?(text: string): string;
  hears?(text: string): string;
  frames?(frame: Frame): readonly Frame[];
  dns?(dns: Dns): Dns;
  network?(network: Network): Network;
  readonly neverTicks?: boolean;
}

type Said = NonNullable<ReturnType<typeof report.decode>>;

/** Reports something else, or more, or less. */
const reports = (change: (said: Said) => readonly Said[]): Mutant => ({
  frames(frame) {
    const said = frame.type === report.type ? report.decode(frame.payload) : undefined;
    if (!said) return [frame];
    const read = createFrameReader();
    const frames = read(Buffer.concat(change(said).map((each) => report.encode(frame.stream, each))));
    return frames === "broken" ? [] : frames;
  },
});

/** Deliberate faults, by name. */
export const mutants: ReadonlyMap<string, Mutant> = new Map<string, Mutant>([
  ["stuffs no dots", { sends: (text) => text.replaceAll(/(\n|^)\.\./g, "$1.") }],
  ["ends lines in LF", { sends: (text) => text.replaceAll("\r\n", "\n") }],
  ["cuts the message short", { sends: (text) => text.replace(/[^\n]+\r\n\.\r\n$/, ".\r\n") }],
  ["mixes up messages", { sends: (text) => text.replace(/X-Id: \d+/, "X-Id: 0") }],
  ["adds a recipient", { sends: (text) => text.replace(/RCPT TO:<r(\d+)-0@/, "RCPT TO:<r$1-99@") }],
  ["names another sender", { sends: (text) => text.replace(/MAIL FROM:<s\d+/, "MAIL FROM:<s0") }],
  ["forgets to reset", { sends: (text) => text.replace("RSET\r\n", "NOOP\r\n") }],
  ["begins with HELO and RCPT", { sends: (text) => text.replace("MAIL FROM", "RCPT TO") }],
  [
    "pipelines where it may not",
    { hears: (text) => text.replace(/^250([ -])mx\r\n/, "250-mx\r\n250$1PIPELINING\r\n") },
  ],
  ["declares what was not offered", { hears: (text) => text.replace(/^250([ -])mx\r\n/, "250-mx\r\n250$1SIZE 0\r\n") }],
  ["takes a refused DATA for a go-ahead", { hears: (text) => text.replace(/^554 nobody/, "354 nobody") }],
  ["takes every refusal for a success", { hears: (text) => text.replaceAll(/^(?:550|451)/gm, "250") }],
  ["takes what passes for what lasts", { hears: (text) => text.replaceAll(/^451 4/gm, "551 5") }],
  ["takes what lasts for what passes", { hears: (text) => text.replaceAll(/^550([ -])5/gm, "450$14") }],
  ["does not hear that it was taken", { hears: (text) => text.replace(/^250 taken/, "450 taken") }],
  ["answers twice", reports((said) => [said, said])],
  ["does not answer", reports((said) => (said.number === 0 ? [] : [said]))],
  ["answers for another", reports((said) => [{ ...said, number: said.number + 1 }])],
  ["gives up what is put off", reports((said) => [said.letter === "Z" ? { ...said, letter: "D" } : said])],
  ["puts off what is refused", reports((said) => [said.letter === "D" ? { ...said, letter: "Z" } : said])],
  ["calls a doubt a success", reports((said) => [said.text.includes("Possible") ? { ...said, letter: "K" } : said])],
  ["is never in doubt", reports((said) => [{ ...said, text: said.text.replace("Possible duplicate!", "") }])],
  ["ends twice", { frames: (frame) => (frame.type === ended.type ? [frame, frame] : [frame]) }],
  ["never ends", { frames: (frame) => (frame.type === ended.type ? [] : [frame]) }],
  ["waits for ever", { neverTicks: true }],
  [
    "takes a failure of DNS for its answer",
    {
      dns: (dns) => ({
        ...dns,
        addresses: async (name) => {
          const answer = await dns.addresses(name);
          return answer.kind === "unknown" ? { kind: "none" } : answer;
        },
      }),
    },
  ],
  [
    "leaves connections open",
    {
      network: (network) => ({
        ...network,
        connect(address, port) {
          const wire = network.connect(address, port);
          wire.destroySoon = () => {};
          wire.destroy = () => wire;
          return wire;
        },
      }),
    },
  ],
]);
