import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as wire from "../../src/protocol/wire/directory.ts";
import { makeSelfSigned } from "../../src/services/tls/self-signed.ts";
import { title } from "../support/title.ts";
import { playDialogue } from "./player.ts";
import { limitsControl, openStage, plainControl, type StageOptions } from "./stage.ts";

/** What directory says of addresses that begin so. */
const answers = [
  ["no", wire.doesNotExist],
  ["full", wire.overQuotaForNow],
  ["stuffed", wire.overQuotaForGood],
  ["who", wire.cannotTell],
] as const;
const certificates = [{ name: "default", ...makeSelfSigned(["localhost"], Date.now()) }];
const folders: readonly { folder: string; control: Readonly<Record<string, string>>; options?: StageOptions }[] = [
  { folder: "plain", control: plainControl },
  { folder: "limits", control: limitsControl },
  { folder: "relay", control: { ...plainControl, relayclients: "127.0.0.1" } },
  { folder: "lmtp", control: limitsControl, options: { service: "lmtp" } },
  { folder: "recipients", control: { ...limitsControl, maxunknownrecipients: "5", unknownrecipientdelay: "0" } },
  { folder: "vrfy", control: { ...limitsControl, vrfy: "1", maxunknownrecipients: "5", unknownrecipientdelay: "0" } },
  {
    folder: "rates",
    control: {
      ...limitsControl,
      ...{ badrcptto: "unwanted@localhost", maxmessagesperaddress: "2", maxrecipientsperaddress: "3" },
    },
  },
  { folder: "denied", control: { ...plainControl, smtprules: ":deny" } },
  { folder: "submission", control: limitsControl, options: { service: "submission", certificates } },
  { folder: "tls", control: limitsControl, options: { certificates } },
];

/** The numbers of the statements that a dialogue proves: its first line names them. */
const statements = (file: string): string =>
  /^# ((?:§17\.\d+ )*)/.exec(`${readFileSync(file, "utf8").split("\n")[0]} `)?.[1] ?? "";

for (const { folder, control, options } of folders) {
  const path = join(import.meta.dirname, folder);
  for (const file of readdirSync(path).sort()) {
    test(title(`smtpd plays ${folder}/${file}`, statements(join(path, file))), async () => {
      await using stage = await openStage(control, options);
      stage.directory.recipient = (address) => answers.find(([name]) => address.startsWith(name))?.[1] ?? wire.exists;
      await playDialogue(join(path, file), { host: "127.0.0.1", port: stage.port });
    });
  }
}
