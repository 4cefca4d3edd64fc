import { Buffer } from "node:buffer";
import { parseIp } from "../network/network.ts";

/** What a certificate is to say (RFC 5280). */
export interface Wanted {
  /** Of its subject, which is its issuer too. */
  readonly commonName: string;
  /** Host names and IP addresses it is for, as text. */
  readonly names: readonly string[];
  readonly serial: Buffer;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** The public key as SubjectPublicKeyInfo (DER). */
  readonly publicKey: Buffer;
  /** Names the key, 20 octets. */
  readonly keyId: Buffer;
}

/** The part of a certificate that is signed, with ecdsa-with-SHA256 (DER, RFC 5280 §4.1). */
export function certificateBody(wanted: Wanted): Buffer {
  const name = sequence(set(sequence(identifier(2, 5, 4, 3), utf8(wanted.commonName))));
  const extensions = sequence(
    extension(identifier(2, 5, 29, 19), true, sequence()), // basicConstraints: no authority
    extension(identifier(2, 5, 29, 37), false, sequence(identifier(1, 3, 6, 1, 5, 5, 7, 3, 1))), // serverAuth
    extension(identifier(2, 5, 29, 17), false, sequence(...wanted.names.map(generalName))),
    extension(identifier(2, 5, 29, 14), false, tagged(0x04, wanted.keyId)),
    extension(identifier(2, 5, 29, 35), false, sequence(tagged(0x80, wanted.keyId))),
  );
  return sequence(
    tagged(0xa0, integer(Buffer.of(2))), // version 3
    integer(wanted.serial),
    ecdsaWithSha256,
    name,
    sequence(time(wanted.notBeforeMs), time(wanted.notAfterMs)),
    name,
    wanted.publicKey,
    tagged(0xa3, extensions),
  );
}

/** The certificate: its body and the signature of that (an ECDSA-Sig-Value, DER). */
export const sealCertificate = (body: Buffer, signature: Buffer): Buffer =>
  sequence(body, ecdsaWithSha256, tagged(0x03, Buffer.of(0), signature));

/** Any DER as PEM (RFC 7468). */
export function pem(label: string, der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

function tagged(tag: number, ...parts: readonly Buffer[]): Buffer {
  const value = Buffer.concat(parts);
  const { length } = value;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.of(tag, ...size), value]);
}

const sequence = (...parts: readonly Buffer[]): Buffer => tagged(0x30, ...parts);
const set = (...parts: readonly Buffer[]): Buffer => tagged(0x31, ...parts);
const utf8 = (text: string): Buffer => tagged(0x0c, Buffer.from(text));

/** Never negative: an octet more where the first bit is set. */
const integer = (octets: Buffer): Buffer => tagged(0x02, ...((octets[0] ?? 0) & 0x80 ? [Buffer.of(0)] : []), octets);

function identifier(first: number, second: number, ...others: readonly number[]): Buffer {
  return tagged(0x06, Buffer.of(first * 40 + second, ...others.flatMap(base128)));
}

const base128 = (number: number): readonly number[] =>
  number < 128 ? [number] : [...base128(number >> 7).map((octet) => octet | 0x80), number & 0x7f];

const ecdsaWithSha256 = sequence(identifier(1, 2, 840, 10_045, 4, 3, 2));

const extension = (id: Buffer, critical: boolean, value: Buffer): Buffer =>
  sequence(id, ...(critical ? [tagged(0x01, Buffer.of(0xff))] : []), tagged(0x04, value));

function generalName(name: string): Buffer {
  const ip = parseIp(name);
  if (!ip) return tagged(0x82, Buffer.from(name, "latin1"));
  return tagged(0x87, Buffer.from(ip.family === 4 ? ip.octets.subarray(12) : ip.octets));
}

/** UTCTime, up to 2049 (RFC 5280 §4.1.2.5). */
function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\.[0-9]*/g, ""); // 20261130071500Z
  return digits < "2050" ? tagged(0x17, Buffer.from(digits.slice(2))) : tagged(0x18, Buffer.from(digits));
}
