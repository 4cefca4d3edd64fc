import { text } from "node:stream/consumers";
import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import type { AccountsRequest, UserOptions } from "../../services/accounts/request.ts";
import { findLayout } from "../../services/layout/find-layout.ts";
import type { Layout } from "../../services/layout/layout.ts";
import { importedUsers } from "./accounts/imported-users.ts";
import { keepsPasswords, octets, readCredential, runRequest, sizeOf } from "./accounts/run.ts";
import { type Command, complain, readOptions } from "./command.ts";

const usage = `usage: postern user list [DOMAIN] [--json]
       postern user show ADDRESS [--json]
       postern user add ADDRESS [--hash] [OPTION ...]
       postern user set ADDRESS [--password | --hash] [OPTION ...]
       postern user remove ADDRESS
       postern user import [--vpopmail DIR]
       all of them: [--root DIR]

The password is asked for, or is the first line of standard input; with --hash that is a hash made elsewhere: argon2id,
crypt's $6$, {SSHA}, {SSHA256}, {SSHA512}.
  --quota SIZE          what the mailbox holds: 500M, 2G, 0 for no bound
  --messages N          and how many messages
  --enable, --disable   whether the user can log in and send; mail comes either way
  --send-as ADDRESS     may send as this one, too, or as @DOMAIN; --no-send-as takes that back

import reads lines ADDRESS:HASH or ADDRESS:HASH:QUOTA from standard input (QUOTA as in maildirsize: 5000000S,1000C), or
the accounts of vpopmail in DIR/domains. Domains that are not there are added with --logins-only.
Exits 0, 1 when there is nothing to list, 100 when something is wrong, 111 when the accounts cannot be used.`;

const options = {
  json: { type: "boolean" },
  password: { type: "boolean" },
  hash: { type: "boolean" },
  quota: { type: "string" },
  messages: { type: "string" },
  enable: { type: "boolean" },
  disable: { type: "boolean" },
  "send-as": { type: "string", multiple: true },
  "no-send-as": { type: "string", multiple: true },
  vpopmail: { type: "string" },
} as const;

type Values = {
  readonly [Name in keyof typeof options]?: boolean | string | string[];
};

export const command: Command = {
  usage,
  async run(args) {
    const read = readOptions(args, options);
    if (read.kind !== "done") return complain(read, usage);
    const { values, positionals } = read.value;
    const [action = "list", name = ""] = positionals;
    const layout = findLayout(values.root, process.env);
    const request = await requestOf(action, octets(name), values, layout);
    if (request.kind !== "done") return complain(request);
    return await runRequest(layout, request.value, values.json ?? false);
  },
};

async function requestOf(
  action: string,
  address: string,
  values: Values,
  layout: Layout,
): Promise<Outcome<AccountsRequest>> {
  if (action === "list") return done({ action: "user list", address });
  if (action === "import") return await importRequest(values, layout);
  if (address === "") return permanent("5.1", "which user? see: postern user --help");
  switch (action) {
    case "show":
      return done({ action: "user show", address });
    case "remove":
      return done({ action: "user remove", address });
    case "add":
    case "set": {
      const chosen = userOptions(values);
      if (chosen.kind !== "done") return chosen;
      if (action === "set" && !values.password && !values.hash) {
        return done({ action: "user set", address, credential: undefined, options: chosen.value });
      }
      const credential = await readCredential(layout, values.hash === true);
      if (credential.kind !== "done") return credential;
      return done({ action: `user ${action}`, address, credential: credential.value, options: chosen.value });
    }
    default:
      return permanent("5.1", `user: there is no action ${action}; see: postern user --help`);
  }
}

function userOptions(values: Values): Outcome<UserOptions> {
  if (values.enable && values.disable) return permanent("5.1", "--enable or --disable?");
  const quota = typeof values.quota === "string" ? sizeOf(values.quota) : undefined;
  if (quota && quota.kind !== "done") return quota;
  const messages = typeof values.messages === "string" ? values.messages : undefined;
  if (messages !== undefined && !/^[0-9]{1,9}$/.test(messages)) return permanent("5.1", "--messages takes a number");
  return done({
    ...(quota && { quotaOctets: quota.value }),
    ...(messages !== undefined && { quotaMessages: Number(messages) }),
    ...((values.enable || values.disable) && { enabled: values.enable === true }),
    sendAs: wordsOf(values["send-as"]),
    noSendAs: wordsOf(values["no-send-as"]),
  });
}

const wordsOf = (value: Values[keyof Values]): string[] => (Array.isArray(value) ? value.map(octets) : []);

async function importRequest({ vpopmail }: Values, layout: Layout): Promise<Outcome<AccountsRequest>> {
  const keep = keepsPasswords(layout);
  if (keep.kind !== "done") return keep;
  const source = typeof vpopmail === "string" ? { folder: vpopmail } : { lines: octets(await text(process.stdin)) };
  const users = importedUsers(source, keep.value);
  return users.kind === "done" ? done({ action: "user import", users: users.value }) : users;
}
