import type { Readable } from "node:stream";

const maxLineOctets = 2_000;
/** Of one process: what a program that went wild still gets to say. */
const maxLines = 200;

/** Passes on what a program writes to its standard error, line by line, made harmless for a terminal. */
export function relayComplaints(stream: Readable, write: (line: string) => void): void {
  let rest = "";
  let count = 0;
  const take = (line: string): void => {
    if (line === "" || ++count > maxLines) return;
    write(line.slice(0, maxLineOctets).replace(/[^\x20-\x7e]/g, "?"));
  };
  stream.setEncoding("latin1");
  stream.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = (lines.pop() ?? "").slice(0, maxLineOctets);
    for (const line of lines) take(line);
  });
  stream.on("end", () => take(rest));
  stream.on("error", () => {});
}
