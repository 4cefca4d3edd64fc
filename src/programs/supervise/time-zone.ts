import { readlinkSync } from "node:fs";

/** Where a system says which zone it is in, by a link to the zone's file. */
const localtime = "/etc/localtime";

/** The time zone's name. Asked last of ICU, which for that one word takes 10 MB of a process for as long as it runs. */
export function timeZoneName(set = process.env.TZ, link = localtime): string {
  if (set !== undefined && isName(set)) return set;
  const [, linked] = (set === undefined && /\/zoneinfo\/(.+)$/.exec(targetOf(link))) || [];
  return linked !== undefined && isName(linked) ? linked : Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** "Europe/Berlin"; not "posix/Europe/Berlin", nor ":/etc/localtime", nor the rule itself, "CET-1CEST". */
const isName = (text: string): boolean => text === "UTC" || /^[A-Z]\w*\/[A-Z][\w+/-]*$/.test(text);

function targetOf(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return ""; // a file of its own, or none
  }
}
