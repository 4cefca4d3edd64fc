import type { Status } from "../outcome.ts";

/** What a server answered to one command (RFC 5321 §4.2). */
export interface Reply {
  readonly code: number;
  /** The text of each line, code cut off. Printable ASCII and tabs; any other octet has become "?". */
  readonly lines: readonly string[];
}

export const maxReplyLines = 100;
export const maxReplyLineOctets = 1_000;
/** Of a reply, as much goes into a report. */
const maxQuotedOctets = 5_000;

const LF = 10;
const notShown = /[^\t\x20-\x7e]/g;

/**
 * Reads replies, chunk by chunk. Returns those a chunk completes; "broken" comes last, and means that the peer does
 * not speak SMTP: no code, codes that differ within a reply, a line or a reply out of bounds. Spent after that.
 * Lines may end in a bare LF. Keeps at most one reply.
 */
export function createReplyReader(): (chunk: Buffer) => readonly (Reply | "broken")[] {
  let kept = "";
  let code = 0;
  let lines: string[] = [];
  return (chunk) => {
    const replies: (Reply | "broken")[] = [];
    let from = 0;
    while (from < chunk.length) {
      const end = chunk.indexOf(LF, from);
      const until = end < 0 ? chunk.length : end;
      if (kept.length + until - from > maxReplyLineOctets + 1) return [...replies, "broken"];
      kept += chunk.toString("latin1", from, until);
      if (end < 0) break;
      const line = parseLine(kept.endsWith("\r") ? kept.slice(0, -1) : kept);
      kept = "";
      from = end + 1;
      if (!line || lines.length === maxReplyLines || (lines.length > 0 && line.code !== code)) {
        return [...replies, "broken"];
      }
      code = line.code;
      lines.push(line.text);
      if (line.continues) continue;
      replies.push({ code, lines });
      lines = [];
    }
    return replies;
  };
}

function parseLine(line: string): { code: number; text: string; continues: boolean } | undefined {
  if (line.length > maxReplyLineOctets || !/^[2-5][0-9][0-9](?:[ -]|$)/.test(line)) return undefined;
  return { code: Number(line.slice(0, 3)), text: line.slice(4).replace(notShown, "?"), continues: line[3] === "-" };
}

/** The reply as it came, each line ended by LF, cut to what a report has room for. */
export function quoteReply({ code, lines }: Reply): string {
  const last = lines.length - 1;
  const whole = lines.map((text, at) => `${code}${at < last ? "-" : " "}${text}\n`).join("");
  return whole.length <= maxQuotedOctets ? whole : `${whole.slice(0, maxQuotedOctets)}\n`;
}

/** The enhanced status code of a refusal (RFC 2034 §4), if it has one that agrees with the reply code. */
export function replyStatus({ code, lines }: Reply): Status | undefined {
  const [, group, status] = /^([245])\.([0-9]{1,3}\.[0-9]{1,3})(?: |$)/.exec(lines.at(-1) ?? "") ?? [];
  return group === String(code).charAt(0) ? (status as Status) : undefined;
}
