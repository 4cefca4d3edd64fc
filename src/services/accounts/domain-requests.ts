import { type Outcome, permanent } from "../../protocol/outcome.ts";
import type { AccountStore, Domain } from "./account-store.ts";
import { rowsOf, said, thereIsNo } from "./answer.ts";
import { allOf, domainName, targetName } from "./names.ts";
import type { AccountsAnswer, AccountsRequest } from "./request.ts";

type DomainRequest = Extract<AccountsRequest, { readonly action: `domain ${string}` }>;

/** Domains: added, listed, their catch-all set, removed with all that is in them. */
export function domainRequest(store: AccountStore, request: DomainRequest): Outcome<AccountsAnswer> {
  if (request.action === "domain list") return rowsOf(store.domains().map((domain) => rowOf(store, domain)));
  const named = domainName(request.domain);
  if (named.kind !== "done") return named;
  const name = named.value;
  const domain = store.domain(name);
  if (request.action === "domain add") {
    if (domain) return permanent("5.1", `the domain ${name} is there already`);
    store.putDomain({ name, mail: request.mail ? 1 : 0 });
    return said(`${name}: added`);
  }
  if (!domain) return thereIsNo(`domain ${name}`);
  switch (request.action) {
    case "domain show":
      return rowsOf([rowOf(store, domain)]);
    case "domain set": {
      const targets = allOf(request.catchAll.map(targetName));
      if (targets.kind !== "done") return targets;
      store.transaction(() => store.setCatchAll(name, targets.value));
      const whom = targets.value.join(", ");
      return said(whom === "" ? `${name}: no catch-all` : `${name}: what nobody has goes to ${whom}`);
    }
    default: // "domain remove"
      store.transaction(() => store.removeDomain(name));
      return said(`${name}: removed; mail that was stored stays where it is`);
  }
}

const rowOf = (store: AccountStore, { name, mail }: Domain): AccountsAnswer["rows"][number] => ({
  domain: name,
  mail: mail === 1,
  users: store.users(name).length,
  aliases: new Set(store.aliases(name).map(({ address }) => address)).size,
  catchAll: store.catchAll(name),
});
