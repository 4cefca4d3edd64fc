import { type Outcome, temporary } from "../../protocol/outcome.ts";
import { isDamage, isPassing } from "../storage/sqlite-errors.ts";
import type { AccountStore } from "./account-store.ts";
import { aliasRequest } from "./alias-requests.ts";
import { appPasswordRequest } from "./app-password-requests.ts";
import { domainRequest } from "./domain-requests.ts";
import { compileAccounts, openAccounts } from "./open-accounts.ts";
import type { AccountsAnswer, AccountsRequest } from "./request.ts";
import { userRequest } from "./user-requests.ts";

/** A command waits so long for another that writes. */
const busyMs = 10_000;

/** Does what a command asks of the accounts in `folder`, and makes accounts.cdb anew. As the user who owns them. */
export async function carryOut(folder: string, request: AccountsRequest): Promise<Outcome<AccountsAnswer>> {
  const opened = openAccounts(folder, busyMs);
  if (opened.kind !== "done") return opened;
  const store = opened.value;
  try {
    const answer = await answerOf(store, request);
    if (answer.kind !== "done" || / (list|show)$/.test(request.action)) return answer;
    const compiled = compileAccounts(store, folder);
    return compiled.kind === "done" ? answer : compiled;
  } catch (error) {
    if (!isPassing(error) && !isDamage(error)) throw error;
    return temporary("3.0", `cannot use the accounts in ${folder}: ${String(error)}`);
  } finally {
    store.close();
  }
}

async function answerOf(store: AccountStore, request: AccountsRequest): Promise<Outcome<AccountsAnswer>> {
  switch (request.action) {
    case "domain add":
    case "domain set":
    case "domain list":
    case "domain show":
    case "domain remove":
      return domainRequest(store, request);
    case "user add":
    case "user set":
    case "user import":
    case "user list":
    case "user show":
    case "user remove":
      return await userRequest(store, request);
    case "alias add":
    case "alias set":
    case "alias list":
    case "alias show":
    case "alias remove":
      return aliasRequest(store, request);
    case "app-password add":
    case "app-password set":
    case "app-password list":
    case "app-password show":
    case "app-password remove":
      return appPasswordRequest(store, request);
    default:
      return request satisfies never;
  }
}
