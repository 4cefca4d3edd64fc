import { type Outcome, permanent } from "../../protocol/outcome.ts";
import { domainOf } from "../../protocol/routing/router.ts";
import type { AccountStore } from "./account-store.ts";
import { rowsOf, said, thereIsNo } from "./answer.ts";
import { addressName, allOf, domainName, targetName } from "./names.ts";
import type { AccountsAnswer, AccountsRequest } from "./request.ts";

type AliasRequest = Extract<AccountsRequest, { readonly action: `alias ${string}` }>;

/** Aliases: one address, any number of others that its mail goes to. */
export function aliasRequest(store: AccountStore, request: AliasRequest): Outcome<AccountsAnswer> {
  if (request.action === "alias list") return listAliases(store, request.address);
  const named = addressName(request.address);
  if (named.kind !== "done") return named;
  const address = named.value;
  const targets = store.targets(address);
  if (request.action === "alias add" && targets.length === 0) {
    const domain = domainOf(address);
    if (!store.domain(domain)) return thereIsNo(`domain ${domain}; see: postern domain add ${domain}`);
    if (store.user(address)) return permanent("5.1", `there is a user ${address}`);
  } else if (targets.length === 0) return thereIsNo(`alias ${address}`);
  switch (request.action) {
    case "alias add":
      return setTargets(store, address, [...targets, ...request.targets]);
    case "alias set":
      return setTargets(store, address, request.targets);
    case "alias show":
      return rowsOf([{ alias: address, targets }]);
    default: // "alias remove"
      store.transaction(() => store.setAlias(address, []));
      return said(`${address}: removed`);
  }
}

/** As many as a frame between programs holds. */
const maxTargetOctets = 60_000;

function setTargets(store: AccountStore, address: string, targets: readonly string[]): Outcome<AccountsAnswer> {
  const named = allOf(targets.map(targetName));
  if (named.kind !== "done") return named;
  if (named.value.length === 0) return permanent("5.1", `where does mail for ${address} go?`);
  const octets = named.value.reduce((sum, target) => sum + target.length + 2, 0);
  if (octets > maxTargetOctets) return permanent("5.1", `${address}: more targets than one alias can have`);
  store.transaction(() => store.setAlias(address, named.value));
  return said(`${address}: goes to ${store.targets(address).join(", ")}`);
}

function listAliases(store: AccountStore, domain: string): Outcome<AccountsAnswer> {
  const name = domain === "" ? undefined : domainName(domain);
  if (name && name.kind !== "done") return name;
  const byAddress = Map.groupBy(store.aliases(name?.value), ({ address }) => address);
  return rowsOf([...byAddress].map(([alias, rows]) => ({ alias, targets: rows.map(({ target }) => target) })));
}
