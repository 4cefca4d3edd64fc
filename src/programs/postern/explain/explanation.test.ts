import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { embeddedLayout } from "../../../services/layout/layout.ts";
import { type Explanation, explainAddress, type Question, renderExplanation } from "./explanation.ts";

/** The server of docs/addresses.md. */
const root = mkdtempSync(join(tmpdir(), "postern-explain-"));
const files: Readonly<Record<string, string>> = {
  "control/me": "mail.example.org\n",
  "control/locals": "mail.example.org\nexample.org\n",
  "control/virtualdomains": "# lists are joe's\nvirtual.example:joe\nout.virtual.example:\n.virtual.example:joe-sub\n",
  "control/rcpthosts": "mail.example.org\nexample.org\nvirtual.example\n.virtual.example\n",
  "control/smtprules": '127.:allow,RELAYCLIENT=""\n192.0.2.66:deny\n:allow\n',
  "control/relayclients": "# the office\n198.51.100.0/24\n",
  "control/badmailfrom": "@spam.example\n",
  "control/badrcptto": "old@example.org\n",
  "control/percenthack": "example.org\n",
  "control/mailboxdomains": "box.example\nnew.example:create\n",
  "control/lmtproutes": "store.example:127.0.0.1:2424\n",
  "control/tlspolicy": ".direct.example:verify .mail.example\nrelay.partner.example:encrypt\n",
  "control/smtproutes": "partner.example:relay.partner.example:26\n.direct.example:\n",
  "control/qmtproutes": "quick.example:192.0.2.9\n",
  "users/assign": `=joe:joe:1000:1000:${root}/home/joe:::\n+joe-:joe:1000:1000:${root}/home/joe:-::\n=gone:gone:1001:1001:${root}/home/gone:::\n.\n`,
  "home/joe/.qmail-lists-default": "# who is on all lists\n&anna@example.net\n&ben@example.net\n./Archive/\n",
  "home/joe/.qmail-lists-foo-owner": "&joe\n",
  "home/joe/.qmail-empty": "",
  "home/joe/.qmail-box": "+list\n./Box\n",
  "home/joe/.qmail-open": "#\n",
  "home/joe/.qmail-program": "|exit 0\n./Box\n",
  "alias/.qmail-root": "&joe@example.org\n",
  "mail/box.example/ann/.qmail-x": "#\n",
};
before(() => {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  chmodSync(join(root, "home/joe/.qmail-open"), 0o666);
});
after(() => rmSync(root, { recursive: true }));

async function explain(address: string, changed: Partial<Question> = {}): Promise<Explanation> {
  const question = { layout: embeddedLayout(root), client: "203.0.113.5", sender: "", withDns: false, ...changed };
  const explained = await explainAddress(address, question);
  assert.ok(explained.kind === "done");
  return explained.value;
}
const shown = (explanation: Explanation): string => renderExplanation(explanation).replaceAll(root, "");

test("docs/addresses.md shows what `postern explain` says of its example", async () => {
  const text = shown(await explain("lists-foo@virtual.example", { sender: "carl@example.com" }));
  const document = readFileSync(new URL("../../../../docs/addresses.md", import.meta.url), "utf8");
  assert.ok(document.includes(`\`\`\`\n${text}\n\`\`\`\n`), text);
  for (const name of ["control/virtualdomains", "users/assign", "home/joe/.qmail-lists-default"]) {
    const shownText =
      files[name]
        ?.replaceAll(root, "")
        .split("\n")
        .filter((line) => line !== "")
        .slice(0, 2) ?? [];
    for (const line of shownText) assert.ok(document.includes(line), `${name}: ${line}`);
  }
});

const stranger = {};
const cases: readonly (readonly [string, Partial<Question>, readonly string[]])[] = [
  ["joe@example.org", stranger, ["control/rcpthosts:2", "control/locals:2", "users/assign:1", "defaultdelivery"]],
  ["joe@elsewhere.example", stranger, ["refused: 550 5.7.1 sorry, that domain", "MX of elsewhere.example"]],
  ["joe@elsewhere.example", { client: "198.51.100.7" }, ["control/relayclients:2", "accepted: 250"]],
  ["joe@elsewhere.example", { client: "127.0.0.1" }, ["control/smtprules:1", "accepted: 250"]],
  ["joe@example.org", { client: "192.0.2.66" }, ["control/smtprules:2", "⇒ the client is sent away"]],
  [
    "joe@example.org",
    { sender: "x@spam.example" },
    ["control/badmailfrom:1", "refused: 550 5.7.1 sorry, your envelope"],
  ],
  ["old@example.org", stranger, ["control/badrcptto:1", "refused: 550 5.7.1 sorry, that recipient"]],
  ["a%virtual.example@example.org", stranger, ["control/percenthack:1", "means a@virtual.example", "joe-a@virtual.ex"]],
  ["a@x.virtual.example", stranger, ["control/virtualdomains:4", "joe-sub-a@x.virtual.example"]],
  ["a@out.virtual.example", stranger, ["control/virtualdomains:3", "an exception: remote after all"]],
  ["a@partner.example", stranger, ["control/smtproutes:1", "by SMTP to relay.partner.example, port 26"]],
  ["a@x.direct.example", stranger, ["control/smtproutes:2", "an exception: by MX"]],
  ["a@store.example", stranger, ["control/lmtproutes:1", "by LMTP to 127.0.0.1, port 2424", "TLS where it can be had"]],
  ["a@partner.example", stranger, ["control/tlspolicy:2", "TLS, or no mail"]],
  ["a@x.direct.example", stranger, ["control/tlspolicy:1", "TLS with a certificate, or no mail: for .mail.example"]],
  ["a@quick.example", stranger, ["control/qmtproutes:1", "by QMTP to 192.0.2.9, port 209"]],
  ["a@[192.0.2.8]", stranger, ["by SMTP to 192.0.2.8"]],
  ["root@example.org", stranger, ["/alias/.qmail-root:1", "forward to joe@example.org"]],
  ["nobody@example.org", stranger, ["Sorry, no mailbox here by that name. (#5.1.1)"]],
  ["joe-empty@example.org", stranger, [".qmail-empty is empty: control/defaultdelivery", "Maildir /home/joe/Maildir"]],
  ["joe-box@example.org", stranger, [".qmail-box:2", ".qmail has file delivery but has x bit set"]],
  ["joe-open@example.org", stranger, ["/.qmail-open is writable by everybody"]],
  ["joe-program@example.org", stranger, ["program exit 0", "mbox /home/joe/Box"]],
  ["gone@example.org", stranger, ["the mail waits: /home/gone is not there"]],
  ["ann-x@box.example", stranger, ["control/mailboxdomains:1", "/mail/box.example/ann/.qmail-x  is there"]],
  ["bob@box.example", stranger, ["Sorry, no mailbox here by that name. (#5.1.1)"]],
  ["bob@new.example", stranger, ["a new mailbox, /mail/new.example/bob"]],
];
for (const [address, question, says] of cases) {
  test(`explainAddress() of ${address} ${JSON.stringify(question)} names ${says[0]}`, async () => {
    const text = shown(await explain(address, question));
    for (const words of says) assert.ok(text.includes(words), `${words}\n${text}`);
  });
}

test("explainAddress() says which assignments could not be read", async () => {
  writeFileSync(join(root, "users/cdb"), "damaged");
  try {
    assert.match(shown(await explain("joe@example.org")), /the mail waits: users\/cdb: not a cdb, or damaged/);
  } finally {
    rmSync(join(root, "users/cdb"));
  }
});

test("renderExplanation() shows no control characters", async () => {
  assert.doesNotMatch(shown(await explain("a\x1b[2J\x9b@example.org")), /(?!\n)\p{Cc}/u);
});
