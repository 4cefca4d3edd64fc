import assert from "node:assert/strict";
import { test } from "node:test";
import { done, temporary } from "../outcome.ts";
import { parseAssign } from "./assign.ts";
import {
  type AssignFiles,
  type AssignOptions,
  assignFromAccounts,
  defaultAssignOptions,
  type HomeOwner,
} from "./pw2u.ts";

const passwd =
  "root:x:0:0::/root:\njoe:x:1000:100:Joe:/home/joe:/bin/sh\nalias:x:90:91::/var/alias:\nbroken line\nBig:x:1001:100::/home/big:\nann:x:1002:100::/home/ann:\nforeign:x:1003:100::/home/joe:\nhomeless:x:1004:100::/nowhere:\n";
const owners = new Map([
  ["/home/joe", 1000],
  ["/var/alias", 90],
  ["/home/big", 1001],
  ["/home/ann", 1002],
]);
const ownerOf: HomeOwner = (home) => done(owners.get(home) ?? "gone");
const noFiles: AssignFiles = {
  include: undefined,
  exclude: undefined,
  mailnames: undefined,
  subusers: undefined,
  append: "",
};
const assign = (files: Partial<AssignFiles> = {}, options: Partial<AssignOptions> = {}) =>
  assignFromAccounts(passwd, { ...noFiles, ...files }, ownerOf, { ...defaultAssignOptions, ...options });

const aliasLine = "+:alias:90:91:/var/alias:-::";
const ofAlias = "=alias:alias:90:91:/var/alias::: +alias-:alias:90:91:/var/alias:-::";
const ofJoe = "=joe:joe:1000:100:/home/joe::: +joe-:joe:1000:100:/home/joe:-::";
const ofAnn = "=ann:ann:1002:100:/home/ann::: +ann-:ann:1002:100:/home/ann:-::";
const ofBig = "=Big:Big:1001:100:/home/big::: +Big-:Big:1001:100:/home/big:-::";

const cases: readonly (readonly [string, Partial<AssignFiles>, Partial<AssignOptions>, string])[] = [
  ["§17.89 `=U` and `+U-` for each account, the alias line first", {}, {}, `${aliasLine} ${ofJoe} ${ofAlias} ${ofAnn}`],
  ["names with capitals (-u)", {}, { capitals: true }, `${aliasLine} ${ofJoe} ${ofAlias} ${ofBig} ${ofAnn}`],
  ["include", { include: ["joe", "alias"] }, {}, `${aliasLine} ${ofJoe} ${ofAlias}`],
  ["exclude", { exclude: ["ann"] }, {}, `${aliasLine} ${ofJoe} ${ofAlias}`],
  [
    "§17.90 mailnames instead of the own name, an empty list hides the account",
    { mailnames: ["joe:joseph:jj", "ann"] },
    {},
    `${aliasLine} ${ofJoe.replaceAll(/([=+])joe/g, "$1joseph")} ${ofJoe.replaceAll(/([=+])joe/g, "$1jj")} ${ofAlias}`,
  ],
  [
    "subusers, and append as it is",
    { include: ["joe", "alias"], subusers: ["list:joe:l:"], append: "=x:y:1:1:/z:::\n" },
    {},
    `${aliasLine} ${ofJoe} ${ofAlias} =list:joe:1000:100:/home/joe:-:l: +list-:joe:1000:100:/home/joe:-:l-: =x:y:1:1:/z:::`,
  ],
  [
    "no extensions (-C)",
    { include: ["joe", "alias"] },
    { extensions: false },
    `${aliasLine} =joe:joe:1000:100:/home/joe::: =alias:alias:90:91:/var/alias:::`,
  ],
  [
    "another break and -/ (-c + -/)",
    { include: ["joe"] },
    { break: "+", dash: "-/", alias: undefined },
    "=joe:joe:1000:100:/home/joe::: +joe+:joe:1000:100:/home/joe:-/::",
  ],
];
for (const [name, files, options, expected] of cases) {
  test(`${name}: assignFromAccounts()`, () => {
    const text = assign(files, options);
    assert.ok(text.kind === "done");
    assert.equal(text.value, `${expected.replaceAll(" ", "\n")}\n.\n`);
    assert.equal(parseAssign(text.value).kind, "done");
  });
}

test("assignFromAccounts() fails for what cannot be meant", () => {
  assert.match(textOf(assign({ exclude: ["alias"] })), /no account alias/);
  assert.match(textOf(assign({ subusers: ["x:nobody:l:"] })), /no user nobody/);
  assert.match(textOf(assign({ subusers: ["x:joe"] })), /bad line/);
  assert.match(textOf(assign({}, { homes: "fail" })), /home of homeless, \/nowhere/);
  const unknown = assignFromAccounts(passwd, noFiles, () => temporary("3.0", "NFS"), defaultAssignOptions);
  assert.deepEqual(unknown, temporary("3.0", "NFS"));
});

test("assignFromAccounts() looks at no home when told so (-H)", () => {
  const text = assign({}, { homes: "ignore" });
  assert.ok(text.kind === "done" && text.value.includes("\n=homeless:") && text.value.includes("\n=foreign:"));
});

const textOf = (outcome: ReturnType<typeof assign>): string => (outcome.kind === "done" ? "" : outcome.text);
