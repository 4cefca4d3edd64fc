import { closeSync, writeSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { errorCode } from "../../services/maildir/file.ts";
import { openSyslog } from "./syslog-socket.ts";
import { type Call, exitDone, fail, misused } from "./tool.ts";

const mail = 2;
const maxTextOctets = 799;
/** While syslogd is being started again; then the line is dropped, as syslog(3) drops it. */
const triesOfALine = 20;
const betweenTriesMs = 250;

/** splogger [TAG [FACILITY]]: gives each line of standard input to the system's log. */
export async function splogger(call: Call): Promise<number> {
  const [tag = "splogger", facility = String(mail), ...more] = call.args;
  if (!/^[0-9]{1,3}$/.test(facility) || more.length > 0) return misused(call, "[TAG [FACILITY]]");
  let log = openSyslog();
  if (log.kind !== "done") return fail(call, log);
  let rest = "";
  const put = async (line: string): Promise<void> => {
    for (const packet of syslogPackets(line, { tag, facility: Number(facility), atUs: nowUs() })) {
      for (let tries = 0; tries < triesOfALine; tries++) {
        if (log.kind === "done" && send(log.value, packet)) break;
        await setTimeout(betweenTriesMs);
        if (log.kind === "done") closeSync(log.value);
        log = openSyslog();
      }
    }
  };
  for await (const piece of process.stdin as AsyncIterable<Buffer>) {
    const lines = (rest + piece.toString("latin1")).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) await put(line);
    for (; rest.length > maxTextOctets * 10; rest = rest.slice(maxTextOctets * 10)) {
      await put(rest.slice(0, maxTextOctets * 10));
    }
  }
  await put(rest);
  return exitDone;
}

const nowUs = (): number => Math.round((performance.timeOrigin + performance.now()) * 1_000);

/** False when nobody takes it: syslogd is gone, or another one by now. */
function send(fd: number, packet: string): boolean {
  try {
    writeSync(fd, Buffer.from(packet, "latin1"));
    return true;
  } catch (error) {
    return errorCode(error) === "EMSGSIZE";
  }
}

export interface SyslogSource {
  readonly tag: string;
  readonly facility: number;
  /** Microseconds since 1970. */
  readonly atUs: number;
}

const alert = 1;
const warning = 4;
const info = 6;

/** One line as packets for /dev/log, none for an empty one; what goes on in another packet has `+` before it. */
export function syslogPackets(line: string, { tag, facility, atUs }: SyslogSource): readonly string[] {
  const level = line.startsWith("alert:") ? alert : line.startsWith("warning:") ? warning : info;
  const text = line.replace(/[^ -~]/g, "?");
  const seconds = Math.floor(atUs / 1_000_000);
  const stamp = `${seconds}.${String(atUs - seconds * 1_000_000).padStart(6, "0")}`;
  const packets: string[] = [];
  for (let at = 0; at < text.length; at += maxTextOctets) {
    const part = text.slice(at, at + maxTextOctets);
    packets.push(`<${facility * 8 + level}>${dateOf(seconds)} ${tag}: ${stamp}${at === 0 ? " " : "+"}${part}`);
  }
  return packets;
}

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"] as const;
const two = (value: number): string => String(value).padStart(2, "0");

/** `Sep  6 04:46:54`, local time, as syslog(3) sends it. */
function dateOf(seconds: number): string {
  const at = new Date(seconds * 1_000);
  const day = String(at.getDate()).padStart(2, " ");
  return `${months[at.getMonth()]} ${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
