import { dirname, join, relative, resolve } from "node:path";
import { findLayout } from "../../services/layout/find-layout.ts";
import type { Layout } from "../../services/layout/layout.ts";
import type { StartOptions } from "./command-line.ts";
import type { Listener } from "./listeners.ts";

export interface Shown {
  readonly listeners: readonly Listener[];
  /** SHA-256, of the certificate that signed itself, if there is one. */
  readonly fingerprint: string | undefined;
}

/** What somebody who has just started it wants to know. `folder` is where they are. */
export function banner(layout: Layout, options: StartOptions, shown: Shown, folder: string): string {
  const { listeners, fingerprint } = shown;
  const on = (service: Listener["service"]): string =>
    listeners
      .filter((listener) => listener.service === service)
      .map(({ name }) => name)
      .join(" ") || "no address";
  const hasPop3 = listeners.some(({ service }) => service.startsWith("pop3"));
  if (!options.embedded) {
    const hasTls = listeners.some(({ service }) => service === "smtps");
    const tls = hasTls ? `with TLS on ${on("smtps")}` : `no port with TLS, which wants a certificate in ${layout.tls}`;
    const pop3 = hasPop3 ? `; POP3 on ${on("pop3")}, with TLS on ${on("pop3s")}` : "";
    return `postern: SMTP on ${on("smtp")}; submission on ${on("submission")}, ${tls}${pop3}`;
  }
  const near = (path: string): string => {
    const way = relative(folder, path);
    return way.startsWith("..") ? path : `./${way}`;
  };
  const root = dirname(layout.control);
  const postern = join(import.meta.dirname, "../../../bin/postern");
  const found = resolve(folder, findLayout(undefined, process.env).control) === layout.control;
  const command = (words: string): string => `${near(postern)} ${words}${found ? "" : ` --root ${near(root)}`}`;
  const certificate = fingerprint ? `  Its certificate signed itself; SHA-256 fingerprint\n    ${fingerprint}\n` : "";
  const pop3 = hasPop3 ? `  POP3 on ${on("pop3")}, with TLS from the start on ${on("pop3s")}\n` : "";
  const server = listeners.find(({ service }) => service === "smtp")?.name ?? "";
  return `Postern is running. Everything is in ${near(root)}
  SMTP on ${on("smtp")}, submission on ${on("submission")}, with TLS from the start on ${on("smtps")}
${pop3}${certificate}
Send a message to any name @localhost, with swaks or without:
  swaks --server ${server} --from me@localhost --to you@localhost
  printf 'To: you@localhost\\nSubject: hello\\n\\nIt works.\\n' | ${command("inject")}
Read it:    cat ${near(join(layout.mail, "localhost/you/Maildir/new"))}/*
The queue:  ${command("queue list")}
The log:    ${command("log")}
Programs:   ${command("status")}
Stop:       Ctrl-C
`;
}
