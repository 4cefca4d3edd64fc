import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { playDialogue } from "./player.ts";
import { limitsControl, openStage, plainControl } from "./stage.ts";

const folders = [
  { folder: "plain", control: plainControl },
  { folder: "limits", control: limitsControl },
];

for (const { folder, control } of folders) {
  const path = join(import.meta.dirname, folder);
  for (const file of readdirSync(path).sort()) {
    test(`smtpd plays ${folder}/${file}`, async () => {
      await using stage = await openStage(control);
      await playDialogue(join(path, file), { host: "127.0.0.1", port: stage.port });
    });
  }
}
