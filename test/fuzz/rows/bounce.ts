import assert from "node:assert/strict";
import { composeDsn } from "../../../src/protocol/bounce/dsn.ts";
import type { Notice } from "../../../src/protocol/bounce/notice.ts";
import { maxBounceOctets, parseBounce, verpRecipient } from "../../../src/protocol/bounce/parse.ts";
import { composeQsbmf } from "../../../src/protocol/bounce/qsbmf.ts";
import { maxReported, maxReportedTextOctets } from "../../../src/protocol/bounce/report.ts";
import { expandVerp } from "../../../src/protocol/verp.ts";
import type { Row } from "../explore.ts";
import { mutated, readSeeds } from "../mutate.ts";
import type { Source } from "../source.ts";

const reports = readSeeds("reports");
const addresses = readSeeds("addresses");

const anyNotice = (source: Source): Notice => ({
  bounceFrom: "MAILER-DAEMON",
  bounceHost: "mx.example",
  reportingHost: "mx.example",
  to: "s@example.org",
  reversePath: source.oneIn(3) ? "" : "s@example.org",
  nowMs: 0,
  arrivedMs: 0,
  recipients: source.list(5, () => ({
    forwardPath: mutated(source, addresses) || "u@d",
    status: "1.1",
    text: mutated(source, reports),
    originalRecipient: source.pick(["", "rfc822;a+40b", "utf-8;x", mutated(source, addresses)]),
  })),
  action: source.pick(["failed", "delayed"]),
  omitted: source.below(3),
  headerOnlyOver: source.oneIn(2) ? 9 : undefined,
});

const compose = (source: Source, notice: Notice): string => {
  const mime = { boundary: "=_b", messageId: "m@h", eightBit: source.oneIn(2), utf8: source.oneIn(3) };
  const isDsn = notice.action === "delayed" || source.oneIn(2); // qmail's form is for failures
  const { prefix, suffix } = isDsn ? composeDsn(notice, mime) : composeQsbmf(notice);
  return `${prefix}Subject: x\n\n${source.text(["<a@b>:\n", "\n", "--=_b\n", "text"])}${suffix}`;
};

const written: Row = {
  name: "bounces, written and read back",
  cases: 2_000,
  check(source) {
    const notice = anyNotice(source);
    const { form, recipients } = parseBounce(Buffer.from(compose(source, notice), "latin1"), { recipient: "s@h" });
    assert.notEqual(form, "none");
    assert.equal(recipients.length, notice.recipients.length);
    for (const { action } of recipients) assert.equal(action, notice.action);
  },
};

const strange: Row = {
  name: "bounces from others",
  cases: 2_000,
  check(source) {
    const seeds = source.list(3, () => compose(source, anyNotice(source)));
    const text = mutated(source, seeds.length > 0 ? seeds : [""]);
    const { recipients } = parseBounce(Buffer.from(text, "latin1"), {
      recipient: mutated(source, addresses),
      ...(source.oneIn(2) && { verpBase: "list-@h" }),
    });
    assert.ok(recipients.length <= maxReported && text.length <= maxBounceOctets);
    for (const { recipient, status, text: said } of recipients) {
      assert.doesNotMatch(recipient, /\n/);
      assert.match(status, /^(?:|[245]\.[0-9]{1,3}\.[0-9]{1,3})$/);
      assert.ok(said.length <= maxReportedTextOctets);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what must not come out
      assert.doesNotMatch(said, /[\0-\x08\x0b-\x1f\x7f]/);
    }
  },
};

const verp: Row = {
  name: "VERP addresses",
  cases: 2_000,
  check(source) {
    const localPart = mutated(source, addresses);
    const address = `${localPart || "u"}@d.example`;
    assert.equal(verpRecipient(expandVerp("list-@h-@[]", address), "list-@h"), address);
  },
};

export const bounceRows: readonly Row[] = [written, strange, verp];
