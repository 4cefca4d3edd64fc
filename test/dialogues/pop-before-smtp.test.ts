import assert from "node:assert/strict";
import { test } from "node:test";
import { limitsControl, openStage, type StageOptions } from "./stage.ts";
import { Talk } from "./talk.ts";

const notOurs = "550 5.7.1 sorry, that domain isn't in my list of allowed rcpthosts";
const taken = "250 2.1.5 ok";
const begin = ["220 localhost ESMTP", "250 localhost", "250 2.1.0 ok"];
const control = { ...limitsControl, popbeforesmtp: "30" };

interface Case {
  readonly name: string;
  readonly control?: Readonly<Record<string, string>>;
  readonly options?: StageOptions;
  readonly answer: number;
  readonly replies: readonly string[];
  /** How often directory is asked. */
  readonly asked: number;
}

/** To a domain elsewhere, twice, then to a mailbox here. */
const cases: readonly Case[] = [
  { name: "who has read mail may relay", answer: 1, replies: [taken, taken, taken], asked: 1 },
  { name: "who has not may not", answer: 2, replies: [notOurs, notOurs, taken], asked: 1 },
  {
    name: "when nobody can tell it is put off",
    answer: 0,
    replies: ["451 4.3.0 cannot tell whether you may send there, try again later", notOurs, taken],
    asked: 1,
  },
  {
    name: "nobody is asked unless it is switched on",
    control: limitsControl,
    answer: 1,
    replies: [notOurs, notOurs, taken],
    asked: 0,
  },
  {
    name: "nor about who may relay anyway",
    control: { ...control, relayclients: "127.0.0.1" },
    answer: 2,
    replies: [taken, taken, taken],
    asked: 0,
  },
];
for (const { name, control: files = control, answer, replies, asked } of cases) {
  test(`POP before SMTP: ${name}`, async () => {
    await using stage = await openStage(files);
    const about: string[] = [];
    stage.directory.relay = (address) => {
      about.push(address);
      return answer;
    };
    const talk = await Talk.open(stage.port);
    talk.send("HELO x\r\nMAIL FROM:<a@far.example>\r\n"); // with all of it on its way at once
    for (const to of ["b@elsewhere.example", "c@elsewhere.example", "d@localhost"]) talk.send(`RCPT TO:<${to}>\r\n`);
    for (const expected of [...begin, ...replies]) assert.equal(await talk.line(), expected);
    assert.deepEqual(about, new Array(asked).fill("127.0.0.1"));
    talk.close();
    const events = stage.events.filter(({ event }) => event === "relaying");
    assert.equal(events.length, asked > 0 && answer === 1 ? 1 : 0);
  });
}

test("POP before SMTP: it is for port 25 alone, and brings no right but to relay", async () => {
  await using submission = await openStage(control, { service: "submission" });
  submission.directory.relay = () => 1;
  const refused = await Talk.open(submission.port);
  refused.send("EHLO x\r\nMAIL FROM:<a@far.example>\r\nRCPT TO:<b@elsewhere.example>\r\n");
  for (let line = await refused.line(); line?.startsWith("2"); line = await refused.line());
  assert.match((await refused.line()) ?? "", /^503 /);
  refused.close();
  await using stage = await openStage({ ...control, maxrecipientsperaddress: "2" });
  stage.directory.relay = () => 1;
  const talk = await Talk.open(stage.port);
  const paths = ["b", "c", "d"].map((name) => `RCPT TO:<${name}@elsewhere.example>\r\n`);
  talk.send(`EHLO x\r\nMAIL FROM:<a@far.example>\r\n${paths.join("")}`);
  const lines: string[] = [];
  while (lines.at(-1)?.startsWith("452") !== true) lines.push((await talk.line()) ?? "452 the end");
  assert.equal(
    lines.some((line) => /XVERP|MT-PRIORITY|FUTURERELEASE/.test(line)),
    false,
  );
  assert.equal(lines.at(-1), "452 4.7.1 too many recipients within an hour, try again later");
  talk.close();
});
