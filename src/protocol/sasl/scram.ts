import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";
import { hmacSha256, type ScramKeys, sha256 } from "../password/scram-keys.ts";
import { accountName } from "./account-name.ts";
import { failed, type Start, type Step } from "./step.ts";

const maxNonceOctets = 256;

/** SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side. */
export const scramSha256 = (start: Start): Step => scram(start, false);
/** SCRAM-SHA-256-PLUS: bound to the TLS connection (RFC 9266). */
export const scramSha256Plus = (start: Start): Step => scram(start, true);

function scram(start: Start, isPlus: boolean): Step {
  const begin = (message: Buffer): Step => clientFirst(message, start, isPlus);
  return start.initial ? begin(start.initial) : { kind: "challenge", octets: Buffer.alloc(0), next: begin };
}

/** gs2-header, then `n=NAME,r=NONCE` and extensions, which nobody has defined. */
function clientFirst(octets: Buffer, start: Start, isPlus: boolean): Step {
  const message = octets.toString("latin1");
  const [, header = "", flag = "", authorization = "", bare = "", name = "", nonce = ""] =
    /^((n|y|p=[A-Za-z0-9.-]{1,64}),(?:a=([^,\0]{1,640}))?,)(n=([^,\0]{1,640}),r=([!-+\--~]+)(?:,[!-~,]*)?)$/.exec(
      message,
    ) ?? [];
  const account = saslName(name);
  if (account === undefined || nonce.length > maxNonceOctets) return failed("", "malformed");
  if (authorization !== "" && saslName(authorization) !== account) return failed(account, "acts for another");
  const trouble = bindingTrouble(flag, start, isPlus);
  if (trouble) return failed(account, trouble);
  const binding = flag.startsWith("p=") ? start.binding?.octets : undefined;
  const expected = Buffer.concat([Buffer.from(header, "latin1"), ...(binding ? [binding] : [])]).toString("base64");
  return {
    kind: "keys",
    account,
    next(keys) {
      const both = nonce + start.nonce;
      const first = `r=${both},s=${keys.salt.toString("base64")},i=${keys.iterations}`;
      const next = (final: Buffer): Step =>
        clientFinal(final, { account, keys, both, expected, soFar: `${bare},${first}` });
      return { kind: "challenge", octets: Buffer.from(first, "latin1"), next };
    },
  };
}

/** A client that could bind and thinks we could not has been lied to on the way (RFC 5802 §6). */
function bindingTrouble(flag: string, { binding }: Start, isPlus: boolean): string | undefined {
  if (flag === "y" && binding) return "downgraded: the client was not told of channel binding";
  if (isPlus !== flag.startsWith("p=")) return "channel binding does not fit the mechanism";
  return isPlus && flag !== `p=${binding?.type}` ? "channel binding of another type" : undefined;
}

interface Begun {
  readonly account: string;
  readonly keys: ScramKeys;
  readonly both: string;
  /** `c=` must be this. */
  readonly expected: string;
  readonly soFar: string;
}

/** `c=BINDING,r=NONCE` and extensions, then `p=PROOF`. */
function clientFinal(octets: Buffer, { account, keys, both, expected, soFar }: Begun): Step {
  const message = octets.toString("latin1");
  const [, withoutProof = "", binding, nonce, proof = ""] =
    /^(c=([A-Za-z0-9+/=]+),r=([!-+\--~]+)(?:,[!-~,]*)?),p=([A-Za-z0-9+/]{43}=)$/.exec(message) ?? [];
  if (withoutProof === "") return failed(account, "malformed");
  if (binding !== expected) return failed(account, "channel binding does not match");
  if (nonce !== both) return failed(account, "another nonce");
  const auth = `${soFar},${withoutProof}`;
  const signature = hmacSha256(keys.storedKey, auth);
  const clientKey = Buffer.from(proof, "base64").map((octet, at) => octet ^ (signature[at] ?? 0));
  if (!timingSafeEqual(sha256(Buffer.from(clientKey)), keys.storedKey)) return failed(account, "wrong password");
  const verifier = `v=${hmacSha256(keys.serverKey, auth).toString("base64")}`;
  return { kind: "proved", account, additional: Buffer.from(verifier, "latin1") };
}

/** `=2C` is a comma, `=3D` an equals sign; no other `=` may be there. */
function saslName(name: string): string | undefined {
  if (/=(?!2C|3D)/.test(name)) return undefined;
  const plain = name.replace(/=2C/g, ",").replace(/=3D/g, "=");
  return accountName(Buffer.from(plain, "latin1"));
}
