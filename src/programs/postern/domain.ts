import { existsSync } from "node:fs";
import { asciiLowerCase } from "../../protocol/address.ts";
import { listLines } from "../../protocol/control/parse.ts";
import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import { mailboxDomains } from "../../protocol/users/mailbox-domains.ts";
import { askAccounts } from "../../services/accounts/ask-accounts.ts";
import { readControlFile, writeControlFile } from "../../services/control-folder/control-folder.ts";
import { findLayout } from "../../services/layout/find-layout.ts";
import type { Layout } from "../../services/layout/layout.ts";
import { askOnce } from "../../services/operator-client/operator-client.ts";
import { octets, runRequest } from "./accounts/run.ts";
import { type Command, complain, exitDone, readOptions, say } from "./command.ts";

const usage = `usage: postern domain list [--json]
       postern domain show DOMAIN [--json]
       postern domain add DOMAIN [--logins-only]
       postern domain set DOMAIN --catch-all ADDRESS ... | --no-catch-all
       postern domain remove DOMAIN [--with-users]
       all of them: [--root DIR]

Domains whose mailboxes are accounts: see postern user. To add one makes its mail accepted, too: a line in
control/mailboxdomains (and rcpthosts, if there is one), and a reload when the server runs.
  --logins-only   its users log in here; where its mail goes stays as it is
  --with-users    remove it though there are users or aliases in it

Exits 0, 1 when there is nothing to list, 100 when something is wrong, 111 when the accounts cannot be used.`;

const options = {
  json: { type: "boolean" },
  "logins-only": { type: "boolean" },
  "catch-all": { type: "string", multiple: true },
  "no-catch-all": { type: "boolean" },
  "with-users": { type: "boolean" },
} as const;

export const command: Command = {
  usage,
  async run(args) {
    const read = readOptions(args, options);
    if (read.kind !== "done") return complain(read, usage);
    const { values, positionals } = read.value;
    const [action = "list", name = ""] = positionals;
    const layout = findLayout(values.root, process.env);
    const domain = octets(name);
    const json = values.json ?? false;
    if (action !== "list" && domain === "") return complain(permanent("5.1", "which domain?"), usage);
    switch (action) {
      case "list":
        return await runRequest(layout, { action: "domain list", domain: "" }, json);
      case "show":
        return await runRequest(layout, { action: "domain show", domain }, json);
      case "add":
        return await add(layout, domain, values["logins-only"] ?? false);
      case "set": {
        const catchAll = values["catch-all"] ?? [];
        if (catchAll.length > 0 === (values["no-catch-all"] ?? false)) {
          return complain(permanent("5.1", "--catch-all or --no-catch-all?"), usage);
        }
        return await runRequest(layout, { action: "domain set", domain, catchAll: catchAll.map(octets) }, json);
      }
      case "remove":
        return await remove(layout, domain, values["with-users"] ?? false);
      default:
        return complain(permanent("5.1", `domain: there is no action ${action}`), usage);
    }
  },
};

async function add(layout: Layout, domain: string, loginsOnly: boolean): Promise<number> {
  const before = loginsOnly ? done(undefined) : mayBecomeAccounts(layout, domain);
  if (before.kind !== "done") return complain(before);
  const added = await askAccounts(layout, { action: "domain add", domain, mail: !loginsOnly });
  if (added.kind !== "done") return complain(added);
  for (const line of added.value.lines) say(line);
  if (loginsOnly) return exitDone;
  const name = asciiLowerCase(domain);
  return await changeControl(layout, (file, lines) =>
    file === "mailboxdomains" ? [...without(lines, name), `${name}:accounts`] : [...without(lines, name), name],
  );
}

/** There is a file to name it in; and mailboxes that are folders now would be lost to sight. */
function mayBecomeAccounts(layout: Layout, domain: string): Outcome<void> {
  if (!existsSync(layout.control)) {
    return permanent(
      "3.5",
      `there is no ${layout.control} to name the domain in: start the server once, which makes it`,
    );
  }
  const text = readControlFile(layout.control, "mailboxdomains");
  if (text.kind !== "done") return text;
  const now = mailboxDomains(listLines(text.value ?? "")).get(asciiLowerCase(domain));
  if (!now || now.accounts) return done(undefined);
  const why = "its mailboxes are folders, and those without a user would be gone";
  return permanent("5.1", `${domain} is in control/mailboxdomains: ${why}. Take the line out first, then add users`);
}

async function remove(layout: Layout, domain: string, withUsers: boolean): Promise<number> {
  const shown = await askAccounts(layout, { action: "domain show", domain });
  if (shown.kind !== "done") return complain(shown);
  const [row] = shown.value.rows;
  if (!withUsers && row && (row.users !== 0 || row.aliases !== 0)) {
    const what = `users: ${row.users}, aliases: ${row.aliases}`;
    return complain(permanent("5.1", `${domain} is not empty (${what}); to remove them too: --with-users`));
  }
  const name = asciiLowerCase(domain);
  const changed = row?.mail ? await changeControl(layout, (_, lines) => without(lines, name)) : exitDone;
  return changed === exitDone ? await runRequest(layout, { action: "domain remove", domain }, false) : changed;
}

const without = (lines: readonly string[], name: string): readonly string[] =>
  lines.filter((line) => asciiLowerCase(line.trim().split(":", 1)[0] ?? "") !== name);

type Change = (file: string, lines: readonly string[]) => readonly string[];

/** Changes what says that a domain's mail is ours, and has a running server read it. */
async function changeControl(layout: Layout, change: Change): Promise<number> {
  for (const file of ["mailboxdomains", "rcpthosts"]) {
    const text = readControlFile(layout.control, file);
    if (text.kind !== "done") return complain(text);
    if (text.value === undefined && file === "rcpthosts") continue;
    const lines = (text.value ?? "").split("\n").filter((line) => line !== "");
    const fresh = change(file, lines);
    const written = await writeControlFile(layout.control, file, fresh.map((line) => `${line}\n`).join(""));
    if (written.kind !== "done") return complain(written);
  }
  const reloaded = await askOnce(layout, "reload");
  if (reloaded.kind === "permanent") return complain(reloaded);
  say(reloaded.kind === "done" ? "reloaded" : "the server does not run: it counts from its next start on");
  return exitDone;
}
