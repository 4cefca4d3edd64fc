import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeFlags } from "./node-flags.ts";
import type { Wall } from "./plan.ts";

const closed: Wall = {
  read: [],
  write: [],
  network: "none",
  ffi: false,
  kernel: "confined",
  limits: { descriptors: 10, heapMiB: 64 },
};
const cases = [
  { name: "nothing", wall: {}, allows: ["fs-read=/p/code", "fs-read=/p/package.json"] },
  {
    name: "a folder",
    wall: { write: ["/w x"] },
    allows: ["fs-read=/p/code", "fs-read=/p/package.json", "fs-read=/w x", "fs-write=/w x"],
  },
  { name: "accepting", wall: { network: "accept" }, allows: ["fs-read=/p/code", "fs-read=/p/package.json", "net"] },
  { name: "everything to read", wall: { read: ["/"] }, allows: ["fs-read=*"] },
  {
    name: "an open kernel and libc",
    wall: { read: ["/"], ffi: true, kernel: "open" },
    allows: ["fs-read=*", "ffi", "child-process"],
  },
] as const;

for (const { name, wall, allows } of cases) {
  test(`nodeFlags() allows no more than ${name}`, () => {
    const plan = { node: "/bin/node", code: "/p/code", program: "queue", wall: { ...closed, ...wall } };
    const flags = nodeFlags(plan);
    assert.equal(flags[0], "--permission");
    const allowed = flags.filter((flag) => flag.startsWith("--allow-"));
    assert.deepEqual(
      allowed,
      allows.map((allow) => `--allow-${allow}`),
    );
  });
}
