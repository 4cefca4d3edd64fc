import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { getSystemErrorName } from "node:util";
import { errorCode } from "./file.ts";

/** As Node makes it of what the system returned. */
const systemError = (number: number): Error =>
  Object.assign(new Error(), { errno: -number, code: getSystemErrorName(-number) });

for (const { number, name } of [
  { number: 28, name: "ENOSPC" },
  { number: 11, name: "EAGAIN" },
  { number: 122, name: "EDQUOT" },
  { number: 116, name: "ESTALE" },
]) {
  test(`errorCode() knows ${name}, whether libuv does or not`, () =>
    assert.equal(errorCode(systemError(number)), name));
}

test("errorCode() takes whatever was thrown", () => {
  for (const thrown of ["x", undefined, new Error("x"), Object.assign(new Error("x"), { code: 5 })]) {
    assert.equal(errorCode(thrown), "unknown");
  }
  assert.throws(
    () => readFileSync("/no/such/file"),
    (error) => errorCode(error) === "ENOENT",
  );
});
