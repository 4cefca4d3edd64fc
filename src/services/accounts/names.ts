import { isEnvelopeAddress } from "../../protocol/address.ts";
import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import { domainOf } from "../../protocol/routing/router.ts";
import { accountName } from "../../protocol/sasl/account-name.ts";
import { isFolderName } from "../../protocol/users/account-names.ts";

/** A domain's name as the store has it. Fails when it cannot be one. */
export function domainName(text: string): Outcome<string> {
  const name = domainOf(`@${text}`);
  const isFit = name.length <= 255 && name.split(".").every((label) => /^[a-z0-9\x80-\xff_-]+$/.test(label));
  return isFit && isFolderName(name) ? done(name) : permanent("5.1", `"${text}" is no domain`);
}

/** An address as the store has it, and as its owner logs in: its local part must do as a folder's name. */
export function addressName(text: string): Outcome<string> {
  const name = accountName(Buffer.from(text, "latin1"));
  const at = name?.lastIndexOf("@") ?? -1;
  const localPart = name?.slice(0, at) ?? "";
  if (name === undefined || at < 1 || !isFolderName(localPart) || localPart.includes("@")) return noAddress(text);
  return domainName(name.slice(at + 1)).kind === "done" && isEnvelopeAddress(name) ? done(name) : noAddress(text);
}

/** Where mail may be forwarded to: anywhere. */
export const targetName = (text: string): Outcome<string> =>
  text.includes("@") && isEnvelopeAddress(text) && !/^[@\s]|[\s@]$/.test(text) ? done(text) : noAddress(text);

const noAddress = (text: string) => permanent("5.1", `"${text}" is no address that can be used here`);

/** All of them, or the first that fails. */
export function allOf<Value>(outcomes: readonly Outcome<Value>[]): Outcome<readonly Value[]> {
  const values: Value[] = [];
  for (const outcome of outcomes) {
    if (outcome.kind !== "done") return outcome;
    values.push(outcome.value);
  }
  return done(values);
}
