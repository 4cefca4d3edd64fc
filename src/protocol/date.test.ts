import assert from "node:assert/strict";
import { test } from "node:test";
import { formatDate, formatStamp } from "./date.ts";

const cases = [
  { ms: Date.UTC(1995, 8, 6, 4, 46, 54), date: "6 Sep 1995 04:46:54 -0000", stamp: "19950906044654" },
  { ms: 0, date: "1 Jan 1970 00:00:00 -0000", stamp: "19700101000000" },
  { ms: Date.UTC(2024, 1, 29, 23, 59, 59, 999), date: "29 Feb 2024 23:59:59 -0000", stamp: "20240229235959" },
  { ms: Date.UTC(2100, 11, 31, 0, 0, 1), date: "31 Dec 2100 00:00:01 -0000", stamp: "21001231000001" },
] as const;

for (const { ms, date, stamp } of cases) {
  test(`formatDate() writes ${ms} as ${date}`, () => assert.equal(formatDate(ms), date));
  test(`formatStamp() writes ${ms} as ${stamp}`, () => assert.equal(formatStamp(ms), stamp));
}
