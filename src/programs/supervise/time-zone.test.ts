import assert from "node:assert/strict";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { timeZoneName } from "./time-zone.ts";

const folder = mkdtempSync(join(tmpdir(), "postern-zone-"));
after(() => rmSync(folder, { recursive: true }));

const asIcu = Intl.DateTimeFormat().resolvedOptions().timeZone;
const cases = [
  {
    name: "a name that is set, before the link",
    set: "Asia/Tokyo",
    target: "/usr/share/zoneinfo/Europe/Berlin",
    is: "Asia/Tokyo",
  },
  { name: "UTC", set: "UTC", target: "/usr/share/zoneinfo/Europe/Berlin", is: "UTC" },
  { name: "what the link names", target: "/usr/share/zoneinfo/Europe/Berlin", is: "Europe/Berlin" },
  {
    name: "a relative link",
    target: "../usr/share/zoneinfo/America/Argentina/Buenos_Aires",
    is: "America/Argentina/Buenos_Aires",
  },
  { name: "a zone with a sign", target: "/usr/share/zoneinfo/Etc/GMT+5", is: "Etc/GMT+5" },
  {
    name: "a set that is a rule: as ICU has it",
    set: "CET-1CEST",
    target: "/usr/share/zoneinfo/Europe/Berlin",
    is: asIcu,
  },
  { name: "another tree of zones: as ICU has it", target: "/usr/share/zoneinfo/right/Europe/Berlin", is: asIcu },
  { name: "a link to elsewhere: as ICU has it", target: "/etc/zone", is: asIcu },
  { name: "no link: as ICU has it", is: asIcu },
] as const;

for (const [at, { name, is, ...given }] of cases.entries()) {
  test(`timeZoneName() takes ${name}`, () => {
    const link = join(folder, String(at));
    if ("target" in given) symlinkSync(given.target, link);
    assert.equal(timeZoneName("set" in given ? given.set : undefined, link), is);
  });
}
