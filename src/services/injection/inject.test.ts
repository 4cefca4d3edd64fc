import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { embeddedLayout } from "../layout/layout.ts";
import { complete, type Environment } from "./inject.ts";

const wishes = { recipientsFrom: "header", arguments: [], reversePath: undefined } as const;

interface Case {
  name: string;
  files: Readonly<Record<string, string>>;
  environment: Environment;
  reversePath: string;
  forwardPath: string;
  from: string;
}

const cases: readonly Case[] = [
  {
    name: "control/me for everything",
    files: { me: "mail.x.org\n" },
    environment: { LOGNAME: "joe" },
    reversePath: "joe@mail.x.org",
    forwardPath: "u@v.mail.x.org",
    from: "joe@mail.x.org",
  },
  {
    name: "control files before control/me",
    files: { me: "mail.x.org", defaulthost: "x.org", defaultdomain: "y.org" },
    environment: { USER: "joe", LOGNAME: "other", NAME: "Joe User" },
    reversePath: "joe@x.org",
    forwardPath: "u@v.y.org",
    from: "Joe User <joe@x.org>",
  },
  {
    name: "variables before control files",
    files: { me: "mail.x.org", defaulthost: "x.org" },
    environment: { QMAILDEFAULTHOST: "z.org", QMAILDEFAULTDOMAIN: "d", MAILUSER: "m", USER: "u", QMAILSHOST: "s.org" },
    reversePath: "m@s.org",
    forwardPath: "u@v.d",
    from: "m@z.org",
  },
  {
    name: "no domain for hosts when control/me has none itself",
    files: { me: "localhost" },
    environment: {},
    reversePath: "anonymous@localhost",
    forwardPath: "u@v",
    from: "anonymous@localhost",
  },
];

for (const { name, files, environment, reversePath, forwardPath, from } of cases) {
  test(`complete() uses ${name}`, () => {
    const layout = embeddedLayout(mkdtempSync(join(tmpdir(), "postern-inject-")));
    mkdirSync(layout.control);
    for (const [file, text] of Object.entries(files)) writeFileSync(join(layout.control, file), text);
    const completed = complete(Buffer.from("To: u@v\n\n"), wishes, environment, layout);
    rmSync(join(layout.control, ".."), { recursive: true });
    if (completed.kind !== "done") return assert.fail(completed.text);
    assert.equal(completed.value.reversePath, reversePath);
    assert.deepEqual(completed.value.forwardPaths, [forwardPath]);
    assert.match(completed.value.header, new RegExp(`^From: ${from.replace(/[.<>]/g, "\\$&")}$`, "m"));
  });
}

test("complete() fails permanently when the file of mailing lists is not there", () => {
  const outcome = complete(Buffer.from("\n"), wishes, { QMAILMFTFILE: "/nonexistent" }, embeddedLayout("/nonexistent"));
  assert.equal(outcome.kind, "permanent");
});
