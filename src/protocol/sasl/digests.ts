import { Buffer } from "node:buffer";
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { accountName } from "./account-name.ts";
import { failed, type Start, type Step } from "./step.ts";

/** CRAM-MD5 (RFC 2195): a challenge, then the name and the keyed digest of the challenge. */
export function cramMd5({ initial, nonce, host }: Start): Step {
  if (initial) return failed("", "an initial response where none may be");
  const challenge = `<${nonce}@${host}>`;
  const digest = (secret: Buffer): Buffer => createHmac("md5", secret).update(challenge).digest();
  return { kind: "challenge", octets: Buffer.from(challenge, "latin1"), next: (response) => check(response, digest) };
}

/** APOP (RFC 1939 §7), its challenge sent with the greeting: challenge, blank, name, blank, digest. */
export function apop({ initial }: Start): Step {
  const blank = initial?.indexOf(" ") ?? -1;
  if (!initial || blank < 1) return failed("", "malformed");
  const challenge = Buffer.from(initial.subarray(0, blank));
  const digest = (secret: Buffer): Buffer => createHash("md5").update(challenge).update(secret).digest();
  return check(initial.subarray(blank + 1), digest);
}

const md5Octets = 16;

function check(response: Buffer, digest: (secret: Buffer) => Buffer): Step {
  const blank = response.lastIndexOf(" ");
  const account = blank < 0 ? undefined : accountName(response.subarray(0, blank));
  if (account === undefined) return failed("", "malformed");
  const hex = response.toString("latin1", blank + 1);
  if (!/^[0-9a-fA-F]{32}$/.test(hex)) return failed(account, "malformed");
  const given = Buffer.from(hex, "hex");
  return {
    kind: "secret",
    account,
    next(secret) {
      // The work is the same without one.
      const isRight = timingSafeEqual(digest(secret ?? Buffer.alloc(md5Octets)), given);
      if (!secret || !isRight) return failed(account, "wrong password");
      return { kind: "proved", account, additional: Buffer.alloc(0) };
    },
  };
}
