import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { title } from "../support/title.ts";
import { playDialogue } from "./player.ts";
import { limitsControl, openStage, plainControl } from "./stage.ts";

const folders = [
  { folder: "plain", control: plainControl },
  { folder: "limits", control: limitsControl },
];

/** The numbers of the statements that a dialogue proves: its first line names them. */
const statements = (file: string): string =>
  /^# ((?:§17\.\d+ )*)/.exec(`${readFileSync(file, "utf8").split("\n")[0]} `)?.[1] ?? "";

for (const { folder, control } of folders) {
  const path = join(import.meta.dirname, folder);
  for (const file of readdirSync(path).sort()) {
    test(title(`smtpd plays ${folder}/${file}`, statements(join(path, file))), async () => {
      await using stage = await openStage(control);
      await playDialogue(join(path, file), { host: "127.0.0.1", port: stage.port });
    });
  }
}
