import assert from "node:assert/strict";
import { type ClientAction, SmtpClient, type Step } from "../../../src/protocol/smtp/client.ts";
import { createReplyReader, type Reply } from "../../../src/protocol/smtp/reply.ts";
import { maxReportOctets } from "../../../src/protocol/wire/delivery.ts";
import type { Row } from "../explore.ts";
import { mutated, readSeeds } from "../mutate.ts";
import type { Source } from "../source.ts";

const replies = readSeeds("smtp-replies");
const codes = [220, 250, 354, 221, 250, 421, 450, 550, 552, 200, 299, 300, 399, 599];

/** What a peer that means well answers. */
const good: Readonly<Record<Step, number>> = {
  greeting: 220,
  hello: 250,
  TLS: 220,
  command: 250,
  DATA: 354,
  body: 250,
  "end of data": 250,
  nothing: 250,
};

function anyReply(source: Source, step: Step): Reply {
  if (source.oneIn(2)) return { code: good[step], lines: ["mx", "PIPELINING", "CHUNKING", "BINARYMIME"] };
  if (!source.oneIn(4))
    return { code: source.pick(codes), lines: [source.text(["2.1.5 ok", "5.1.1 no", "x", "PIPELINING"], 3)] };
  const [read] = createReplyReader()(Buffer.from(mutated(source, replies), "latin1"));
  return read === undefined || read === "broken"
    ? { code: 250, lines: ["mx", "PIPELINING", "SIZE 90", "STARTTLS"] }
    : read;
}

/** What the holder of a connection knows: what it may call now, and whether a message can have been taken. */
interface Holder {
  at: "waiting" | "ready" | "body" | "tls" | "over";
  recipients: number;
  dotSent: boolean;
  /** The peer said yes after the end. */
  isTaken: boolean;
}

function judge(action: ClientAction, holder: Holder): void {
  switch (action.kind) {
    case "wait":
      return;
    case "send":
      assert.match(action.text, /^(?:[ -~]*\r\n)+$/);
      return;
    case "body":
      assert.equal(holder.dotSent, false);
      holder.at = "body";
      return;
    case "start TLS":
      holder.at = "tls";
      return;
    case "ready":
      holder.at = "ready";
      return;
    case "finished":
      assert.equal(action.fates.length, holder.recipients);
      for (const { letter, status, text } of action.fates) {
        assert.match(text, /^[\t\n -~]*$/);
        assert.ok(text.length <= maxReportOctets);
        assert.match(status, letter === "K" ? /^$/ : /^[0-9]{1,3}\.[0-9]{1,3}$/);
        assert.ok(letter !== "K" || holder.isTaken, "taken before it was sent");
      }
      holder.at = action.reusable ? "ready" : "over";
      holder.recipients = 0;
      holder.dotSent = false;
      holder.isTaken = false;
      return;
    case "no TLS":
    case "unusable":
      assert.equal(holder.recipients, 0, "a transaction was forgotten");
      holder.at = "over";
      return;
    default:
      action satisfies never;
  }
}

const client: Row = {
  name: "SMTP client",
  cases: 2_500,
  check(source) {
    const protocol = source.pick(["SMTP", "SMTP", "LMTP"] as const);
    const machine = new SmtpClient({
      peer: "192.0.2.1",
      heloHost: "us.example",
      tls: source.pick(["none", "may", "must"]),
      protocol,
      ...(source.oneIn(4) && { login: { user: "u", password: "p" } }),
    });
    const holder: Holder = { at: "waiting", recipients: 0, dotSent: false, isTaken: false };
    for (let turns = 60; turns > 0 && holder.at !== "over"; turns--) {
      if (holder.at === "ready" && !source.oneIn(10)) {
        holder.at = "waiting";
        const forwardPaths = ["a@b", "c d@e", 'f"@g', "h@[192.0.2.1]"].slice(0, 1 + source.below(4));
        holder.recipients = forwardPaths.length;
        judge(
          machine.begin({
            reversePath: "",
            forwardPaths,
            octets: source.below(200),
            bodyType: source.pick(["7BIT", "8BITMIME", "BINARYMIME"]),
          }),
          holder,
        );
      } else if (holder.at === "tls" && !source.oneIn(4)) {
        holder.at = "waiting";
        judge(machine.onTls(), holder);
      } else if (holder.at === "body" && !source.oneIn(4)) {
        holder.at = "waiting";
        holder.dotSent = true;
        machine.onDotSent();
      } else if (source.oneIn(30)) judge(machine.lost("gone"), holder);
      else {
        const reply = anyReply(source, machine.step);
        const { dotSent } = holder;
        holder.isTaken ||= dotSent && reply.code < 300;
        const action = machine.onReply(reply);
        judge(action, holder);
        if (!dotSent || reply.code >= 300) continue;
        if (protocol === "LMTP" && action.kind === "wait") continue; // for the replies to the other recipients
        assert.ok(
          action.kind === "finished" && action.fates.some(({ letter }) => letter === "K"),
          "taken, and sent again",
        );
      }
    }
    if (holder.at === "over") return;
    judge(machine.lost("gone"), holder);
    assert.equal(holder.recipients, 0, "some recipient has no fate");
  },
};

export const clientRows: readonly Row[] = [client];
