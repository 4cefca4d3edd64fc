import { Buffer } from "node:buffer";
import { preparePassword } from "../password/prepare.ts";
import { accountName } from "./account-name.ts";
import { failed, type Start, type Step } from "./step.ts";

const empty: Buffer = Buffer.alloc(0);

/** PLAIN (RFC 4616): [authzid] NUL authcid NUL passwd, in one message. Nobody acts for another: authzid is authcid. */
export function plain({ initial }: Start): Step {
  return initial ? check(initial) : { kind: "challenge", octets: empty, next: check };
}

function check(message: Buffer): Step {
  const first = message.indexOf(0);
  const second = first < 0 ? -1 : message.indexOf(0, first + 1);
  if (second < 0) return failed("", "malformed");
  return checked(message.subarray(first + 1, second), message.subarray(second + 1), message.subarray(0, first));
}

/** LOGIN (draft-murchison-sasl-login): the name, then the password, each after a prompt. */
export function login({ initial }: Start): Step {
  const askPassword = (name: Buffer): Step => ({
    kind: "challenge",
    octets: Buffer.from("Password:"),
    next: (password) => checked(name, password),
  });
  if (initial && initial.length > 0) return askPassword(initial);
  return { kind: "challenge", octets: Buffer.from("Username:"), next: (name) => askPassword(Buffer.from(name)) };
}

function checked(name: Buffer, octets: Buffer, authorization = empty): Step {
  const account = accountName(name);
  if (account === undefined) return failed("", "malformed name");
  if (authorization.length > 0 && accountName(authorization) !== account) return failed(account, "acts for another");
  const password = preparePassword(octets);
  return password ? { kind: "password", account, password } : failed(account, "malformed password");
}
