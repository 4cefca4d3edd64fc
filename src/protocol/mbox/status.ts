/** What the Status and X-Status fields of a message in an mbox say. */
export interface MboxStatus {
  /** Nobody has seen that it is there. */
  readonly isNew: boolean;
  /** As Maildir has them after `:2,`. */
  readonly flags: string;
  /** The header without these fields. */
  readonly header: string;
}

const statusFlags: ReadonlyMap<string, string> = new Map([["R", "S"]]);
const xStatusFlags: ReadonlyMap<string, string> = new Map([
  ["A", "R"],
  ["F", "F"],
  ["D", "T"],
  ["T", "D"],
]);

/** Takes the Status fields out of a header, whose lines end in LF: what they say belongs in a Maildir's file names. */
export function takeStatus(header: string): MboxStatus {
  const flags = new Set<string>();
  const kept: string[] = [];
  let isOld = false;
  let isTaken = false;
  for (const line of header.split("\n")) {
    const isContinuation = line.startsWith(" ") || line.startsWith("\t");
    if (!isContinuation) {
      const colon = line.indexOf(":");
      const name = line.slice(0, Math.max(0, colon)).trim().toLowerCase();
      isTaken = name === "status" || name === "x-status";
      for (const letter of isTaken ? line.slice(colon + 1) : "") {
        if (name === "status" && (letter === "O" || letter === "R")) isOld = true;
        const flag = (name === "status" ? statusFlags : xStatusFlags).get(letter);
        if (flag !== undefined) flags.add(flag);
      }
    }
    if (!isTaken) kept.push(line);
  }
  return { isNew: !isOld && flags.size === 0, flags: [...flags].sort().join(""), header: kept.join("\n") };
}
