import { constants, randomBytes } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import type { Settings } from "../../protocol/control/table.ts";
import { done, type Outcome, permanent } from "../../protocol/outcome.ts";
import { type CertificateFiles, isHostName, readCertificate } from "./certificate.ts";

/** The certificates of a service, ready for use. */
export interface Contexts {
  /** Who asks for another name may be shown another one; else `find` has one answer, and need not be asked. */
  readonly areSeveral: boolean;
  /** For a client that asks for `serverName`: the exact name, then `*.` and what follows its first label, then the default. */
  find(serverName: string | undefined): SecureContext;
}

export type TlsSettings = Pick<Settings, "me" | "tlsminimum" | "tlsciphers">;

/**
 * Makes ready what `tls/` has; `undefined` when that is nothing. The default is the one in the folder `default`, else the
 * first for control/me, else the first. Where several are for one name the first counts. Session tickets are valid with
 * all of them, and until the process ends or this is called again. Fails when a certificate or the ciphers are no good.
 */
export function createContexts(
  certificates: readonly CertificateFiles[],
  settings: TlsSettings,
): Outcome<Contexts | undefined> {
  const ticketKeys = randomBytes(48);
  const byName = new Map<string, SecureContext>();
  let byFolder: SecureContext | undefined;
  let first: SecureContext | undefined;
  for (const certificate of certificates) {
    const facts = readCertificate(certificate);
    if (facts.kind !== "done") return facts;
    const made = createContext(certificate, settings, ticketKeys);
    if (made.kind !== "done") return made;
    const context = made.value;
    first ??= context;
    if (certificate.name === "default") byFolder = context;
    for (const name of facts.value.names) if (!byName.has(name)) byName.set(name, context);
  }
  const byDefault = byFolder ?? nameIn(byName, settings.me) ?? first;
  if (!byDefault) return done(undefined);
  return done({
    areSeveral: new Set(byName.values()).add(byDefault).size > 1,
    find: (serverName) => (serverName && nameIn(byName, serverName)) || byDefault,
  });
}

/** What is no host name is in no certificate: it need not be looked for. */
function nameIn(byName: ReadonlyMap<string, SecureContext>, text: string): SecureContext | undefined {
  const name = text.toLowerCase();
  if (!isHostName(name) || name.startsWith("*")) return undefined;
  const dot = name.indexOf(".");
  return byName.get(name) ?? (dot < 0 ? undefined : byName.get(`*${name.slice(dot)}`));
}

function createContext(
  { name, chain, key }: CertificateFiles,
  { tlsminimum, tlsciphers }: TlsSettings,
  ticketKeys: Buffer,
): Outcome<SecureContext> {
  try {
    const context = createSecureContext({
      cert: chain,
      key,
      ca: [], // clients show no certificates; the list of authorities would cost memory
      minVersion: tlsminimum === "1.3" ? "TLSv1.3" : "TLSv1.2",
      maxVersion: "TLSv1.3",
      ciphers: tlsciphers,
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION,
      sessionIdContext: "postern",
      ticketKeys,
    });
    return done(context);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ERR_SSL_NO_CIPHER_MATCH") return permanent("3.5", "control/tlsciphers: none of them is known here");
    return permanent("3.5", `tls/${name}: cannot be used: ${message}`);
  }
}
