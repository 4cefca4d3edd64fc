import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { baseName, flagsOf, sizeInName, timeInName, uidOf, withFlag } from "../../../src/protocol/maildir/file-name.ts";
import { hasRoom, parseQuota, parseSizeFile, quotaText, sizeFileText } from "../../../src/protocol/maildir/quota.ts";
import type { Row } from "../explore.ts";
import { mutated } from "../mutate.ts";

const files = ["10000000S,1000C\n12345 12\n678 1\n-12 -1\n", "5000S\n         100            2\n", "7C\n0 0\n"];
const names = ["1700000000.Q1I2R1.mx,S=4096", "1700000000.M1P2.mx,S=4096,W=4200:2,FS", "999999999.x:2,", "message"];

const sizeFiles: Row = {
  name: "maildirsize",
  cases: 1_500,
  check(source) {
    const file = parseSizeFile(mutated(source, files));
    if (!file) return;
    const { quota, usage } = file;
    if (quota.octets + quota.messages > 0) assert.deepEqual(parseQuota(quotaText(quota)), quota);
    if (!usage) return;
    assert.ok(Number.isSafeInteger(usage.octets) && usage.octets >= 0 && usage.messages >= 0);
    assert.equal(typeof hasRoom(quota, usage, { octets: 1, messages: 1 }), "boolean");
    assert.deepEqual(parseSizeFile(sizeFileText(quota, usage))?.usage, usage);
  },
};

const digest = (octets: string): string => createHash("sha256").update(octets, "latin1").digest("base64url");

const fileNames: Row = {
  name: "Maildir file names",
  cases: 1_500,
  check(source) {
    const name = mutated(source, names);
    const marked = withFlag(name, "S");
    assert.equal(baseName(marked), baseName(name));
    assert.ok(flagsOf(marked).includes("S"));
    assert.equal(withFlag(marked, "S"), marked);
    assert.equal(uidOf(marked, digest), uidOf(name, digest));
    assert.match(uidOf(name, digest), /^[!-~]{1,70}$/);
    for (const number of [sizeInName(name), timeInName(name)]) {
      assert.ok(number === undefined || (Number.isSafeInteger(number) && number >= 0));
    }
  },
};

export const maildirRows: readonly Row[] = [sizeFiles, fileNames];
