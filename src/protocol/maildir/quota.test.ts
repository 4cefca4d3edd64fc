import assert from "node:assert/strict";
import { test } from "node:test";
import { hasRoom, maxSizeFileOctets, parseQuota, parseSizeFile, quotaText, sizeFileText } from "./quota.ts";

const quotas: readonly (readonly [text: string, octets: number | undefined, messages?: number, back?: string])[] = [
  ["10000000S,1000C", 10_000_000, 1_000],
  ["1000C,10000000S", 10_000_000, 1_000, "10000000S,1000C"],
  ["5000S", 5_000, 0],
  ["7C", 0, 7],
  ["0S", 0, 0],
  ["5S,9X", 5, 0, "5S"],
  ["", undefined],
  ["5000", undefined],
  ["-5S", undefined],
  ["5S,", undefined],
  ["9X", undefined],
  ["1e9S", undefined],
  [`${"9".repeat(16)}S`, undefined],
];
for (const [text, octets, messages = 0, back = text] of quotas) {
  test(`parseQuota() reads ${JSON.stringify(text)}`, () => {
    const quota = parseQuota(text);
    assert.deepEqual(quota, octets === undefined ? undefined : { octets, messages });
    if (quota) assert.equal(quotaText(quota), back);
  });
}

const quota = { octets: 5_000, messages: 3 };
const files: readonly (readonly [
  name: string,
  text: string,
  usage: readonly number[] | "unusable" | "none",
  fresh?: boolean,
])[] = [
  ["a fresh one", sizeFileText(quota, { octets: 100, messages: 2 }), [100, 2], true],
  ["the numbers of others, with blanks", "5000S\n         100            2\n   -40  -1 \n", [60, 1]],
  ["changes up and down", "5000S,3C\n100 2\n50 1\n-100 -2\n", [50, 1]],
  ["nothing but a quota", "5000S\n", "unusable"],
  ["a line that is none", "5000S\n100 2\nrubbish\n", "unusable"],
  ["a line that is not whole", "5000S\n100 2\n50", "unusable"],
  ["less than nothing", "5000S\n100 2\n-101 -2\n", "unusable"],
  ["a number that is none any more", `5000S\n${"9".repeat(16)} 2\n`, "unusable"],
  ["more than the bound", `5000S\n${"1 0\n".repeat(maxSizeFileOctets / 4)}`, "unusable"],
  ["no quota", "hello\n100 2\n", "none"],
  ["nothing", "", "none"],
];
for (const [name, text, usage, fresh = false] of files) {
  test(`parseSizeFile() reads ${name}`, () => {
    const file = parseSizeFile(text);
    if (usage === "none") return assert.equal(file, undefined);
    assert.equal(file?.quota.octets, 5_000);
    if (usage === "unusable") return assert.equal(file.usage, undefined);
    assert.deepEqual([file.usage?.octets, file.usage?.messages], usage);
    assert.equal(file.isFresh, fresh);
  });
}

const rooms: readonly (readonly [
  quota: readonly [number, number],
  used: readonly [number, number],
  more: number,
  has: boolean,
])[] = [
  [[100, 0], [50, 9], 50, true],
  [[100, 0], [50, 9], 51, false],
  [[0, 3], [1_000, 2], 1_000, true],
  [[0, 3], [1_000, 3], 1, false],
  [[0, 0], [1e12, 1e6], 1e12, true],
];
for (const [[octets, messages], used, more, has] of rooms) {
  test(`hasRoom() of ${octets}S,${messages}C: ${used} and ${more} octets more ${has ? "fit" : "do not fit"}`, () => {
    const usage = { octets: used[0], messages: used[1] };
    assert.equal(hasRoom({ octets, messages }, usage, { octets: more, messages: 1 }), has);
  });
}
