import type { TlsaRecord } from "../dane/record.ts";

/**
 * What a connection must have before mail goes over it: nothing ("none": TLS is not even tried; "may": where it can be
 * had), TLS ("encrypt"), a certificate for one of `names` that an authority signed ("verify"), or one that a record of
 * DNS names ("dane").
 */
export interface TlsDemand {
  readonly level: "none" | "may" | "encrypt" | "verify" | "dane";
  /** Names of hosts; `.example.org` is any below it. */
  readonly names: readonly string[];
  readonly records: readonly TlsaRecord[];
  /** What asks for it, for people. */
  readonly source: string;
  /** RFC 8461 §5: what is missing is counted, and the mail goes all the same. */
  readonly isTest?: boolean;
}

export const demandNothing: TlsDemand = { level: "may", names: [], records: [], source: "" };

/** Demands with the same key are met by the same connection. */
export const demandKey = ({ level, names, records, isTest }: TlsDemand): string =>
  level === "may" || level === "none" || level === "encrypt" || isTest
    ? level
    : `${level} ${names.join(" ")} ${records.map(({ octets }) => octets.toString("hex")).join(" ")}`;

/** What of TLS went wrong, by its name in reports (RFC 8460 §4.3). */
export type TlsFaultKind =
  | "starttls-not-supported"
  | "certificate-host-mismatch"
  | "certificate-expired"
  | "certificate-not-trusted"
  | "validation-failure"
  | "tlsa-invalid"
  | "dnssec-invalid"
  | "sts-policy-fetch-error"
  | "sts-policy-invalid"
  | "sts-webpki-invalid";

export interface TlsFault {
  readonly kind: TlsFaultKind;
  /** In words, for the text of a delivery that failed. */
  readonly text: string;
}
