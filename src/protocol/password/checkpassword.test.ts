import assert from "node:assert/strict";
import { test } from "node:test";
import { checkpasswordInput, parseCheckpasswordInput } from "./checkpassword.ts";

const cases: readonly (readonly [name: string, input: string, parsed: readonly [string, string] | undefined])[] = [
  ["name, password and timestamp", "joe\0secret\0Y123456\0", ["joe", "secret"]],
  ["no timestamp", "joe\0secret\0", ["joe", "secret"]],
  ["more behind the timestamp", "joe\0secret\0Y1\0more\0", ["joe", "secret"]],
  ["a name without a password", "joe\0\0\0", ["joe", ""]],
  ["all octets", "j\xf6e\0 \n\xff\0\0", ["j\xf6e", " \n\xff"]],
  ["a password that does not end", "joe\0secret", undefined],
  ["a name that does not end", "joe", undefined],
  ["no name", "\0secret\0\0", undefined],
  ["nothing", "", undefined],
  ["512 octets", `joe\0${"x".repeat(507)}\0`, ["joe", "x".repeat(507)]],
  ["513 octets", `joe\0${"x".repeat(508)}\0`, undefined],
];
for (const [name, input, parsed] of cases) {
  test(`parseCheckpasswordInput() of ${name}`, () => {
    const expected = parsed && { account: parsed[0], password: Buffer.from(parsed[1], "latin1") };
    assert.deepEqual(parseCheckpasswordInput(Buffer.from(input, "latin1")), expected);
  });
}

test("parseCheckpasswordInput() reads what checkpasswordInput() writes", () => {
  const password = Buffer.from("secret");
  const input = checkpasswordInput("joe", password);
  assert.ok(input);
  assert.deepEqual(parseCheckpasswordInput(input), { account: "joe", password });
});
