import { createHash, randomInt } from "node:crypto";
import { type Outcome, permanent } from "../../protocol/outcome.ts";
import type { AccountStore, AppPassword } from "./account-store.ts";
import { rowsOf, said, thereIsNo, timeText } from "./answer.ts";
import { addressName } from "./names.ts";
import type { AccountsAnswer, AccountsRequest } from "./request.ts";

type AppPasswordRequest = Extract<AccountsRequest, { readonly action: `app-password ${string}` }>;

const allScopes: readonly string[] = ["smtp", "pop3", "imap"];
const maxOfOne = 50;

/** Passwords for one program or device: made here, shown once, good for some services and for a time. */
export function appPasswordRequest(store: AccountStore, request: AppPasswordRequest): Outcome<AccountsAnswer> {
  const named = addressName(request.address);
  if (named.kind !== "done") return named;
  const address = named.value;
  if (!store.user(address)) return thereIsNo(`user ${address}`);
  const all = store.appPasswords(address);
  if (request.action === "app-password list") return rowsOf(all.map(rowOf));
  const { name } = request;
  const known = all.find((each) => each.name === name);
  if (request.action === "app-password add") {
    if (known) return permanent("5.1", `${address} has an app password ${name} already`);
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/.test(name)) {
      return permanent("5.1", `"${name}": names are up to 32 letters, digits, dots and dashes`);
    }
    if (all.length >= maxOfOne)
      return permanent("5.1", `${address} has ${maxOfOne} app passwords, and cannot have more`);
    const password = newPassword();
    const digest = createHash("sha256").update(password).digest("hex");
    const fresh = { address, name, digest, scopes: allScopes.join(" "), expiresMs: 0, lastUsedMs: 0 };
    const put = putAppPassword(store, fresh, request.options);
    return put.kind === "done" ? said(password) : put;
  }
  if (!known) return thereIsNo(`app password ${name} of ${address}`);
  switch (request.action) {
    case "app-password show":
      return rowsOf([rowOf(known)]);
    case "app-password set":
      return putAppPassword(store, known, request.options);
    default: // "app-password remove"
      store.removeAppPassword(address, name);
      return said(`${name} of ${address}: removed`);
  }
}

function putAppPassword(
  store: AccountStore,
  appPassword: AppPassword,
  { scopes, expiresMs = appPassword.expiresMs }: Extract<AppPasswordRequest, { readonly options: unknown }>["options"],
): Outcome<AccountsAnswer> {
  const strange = scopes?.find((scope) => !allScopes.includes(scope));
  if (strange !== undefined) return permanent("5.1", `"${strange}" is none of ${allScopes.join(", ")}`);
  store.putAppPassword({ ...appPassword, scopes: scopes?.join(" ") ?? appPassword.scopes, expiresMs });
  return said(`${appPassword.name} of ${appPassword.address}: changed`);
}

/** Without those that look alike. */
const letters = "abcdefghijkmnpqrstuvwxyz23456789";
const groups = 5;
const lettersInGroup = 5;

/** 125 random bits that can be typed: five groups of five. */
function newPassword(): string {
  const group = (): string =>
    Array.from({ length: lettersInGroup }, () => letters.charAt(randomInt(letters.length))).join("");
  return Array.from({ length: groups }, group).join("-");
}

const rowOf = ({ name, scopes, expiresMs, lastUsedMs }: AppPassword): AccountsAnswer["rows"][number] => ({
  name,
  scopes: scopes.split(" "),
  expires: timeText(expiresMs),
  lastUsed: timeText(lastUsedMs),
});
