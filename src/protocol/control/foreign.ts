/**
 * Control files of qmail's run scripts, of its common patches and of the programs around it, that mean nothing here: by
 * name, with what does their work. They are no faults, so that a qmail's folder can be copied as it is; `postern config
 * check` names them.
 */
const foreign = new Map<string, string>([
  // Run scripts and bundles
  ["concurrencyincoming", "see maxconnections and maxconnectionsperaddress"],
  ["concurrencypop3", "Postern serves no POP3"],
  ["clientcert.pem", "remote shows no certificate of its own"],
  ["dh2048.pem", "TLS chooses its own parameters"],
  ["dh4096.pem", "TLS chooses its own parameters"],
  ["dh512.pem", "TLS chooses its own parameters"],
  ["dh1024.pem", "TLS chooses its own parameters"],
  ["rsa512.pem", "TLS chooses its own parameters"],
  ["rsa2048.pem", "TLS chooses its own parameters"],
  ["servercert.pem", "smtpd offers no TLS yet"],
  ["tlsserverciphers", "smtpd offers no TLS yet"],
  ["tlsclientciphers", "remote leaves the choice to OpenSSL"],
  ["tlsclientmethod", "remote leaves the choice to OpenSSL"],
  ["tlsservermethod", "smtpd offers no TLS yet"],
  ["tlshosts", "see tlspolicy"],
  ["notlshosts", "see tlspolicy"],
  ["dkim", "Postern signs nothing"],
  ["domainkeys", "Postern signs nothing"],
  ["dkimsign", "Postern signs nothing"],
  ["dkimkeys", "Postern signs nothing"],
  ["dkimdomains", "Postern signs nothing"],
  ["filterargs", "Postern runs no filter around deliveries"],
  // Refusing more
  ["badhelo", "names in HELO are not judged"],
  ["badloadertypes", "bodies are not judged"],
  ["badmimetypes", "bodies are not judged"],
  ["badmailfromnorelay", "see badmailfrom"],
  ["badmailfrom-unset", "see badmailfrom"],
  ["badmailto", "see badrcptto"],
  ["badrcpttonorelay", "see badrcptto"],
  ["badrcptpatterns", "see badrcptto, which takes no patterns"],
  ["badmailpatterns", "see badmailfrom, which takes no patterns"],
  ["goodrcptto", "recipients are not looked up before they are accepted"],
  ["validrcptto", "recipients are not looked up before they are accepted"],
  ["validrcptto.cdb", "recipients are not looked up before they are accepted"],
  ["recipients", "recipients are not looked up before they are accepted"],
  ["recipients.cdb", "recipients are not looked up before they are accepted"],
  ["maxrcpt", "see maxrecipients"],
  ["maxrecips", "see maxrecipients"],
  ["tarpitcount", "clients are not slowed down; see maxrecipients and maxconnectionsperaddress"],
  ["tarpitdelay", "clients are not slowed down; see maxrecipients and maxconnectionsperaddress"],
  ["greetdelay", "the greeting is not put off"],
  ["mfcheck", "senders' domains are not looked up"],
  ["rbllist", "no block lists are asked"],
  ["dnsbllist", "no block lists are asked"],
  ["spfbehavior", "SPF is not checked"],
  ["spfexp", "SPF is not checked"],
  ["spfguess", "SPF is not checked"],
  ["spfrules", "SPF is not checked"],
  ["spfipv6", "SPF is not checked"],
  ["spfignore", "SPF is not checked"],
  ["surblblacklist", "bodies are not judged"],
  ["smtpplugins", "smtpd runs no plugins"],
  ["simcontrol", "simscan is not run"],
  ["simcontrol.cdb", "simscan is not run"],
  ["simversions.cdb", "simscan is not run"],
  ["smtpauth", "smtpd offers no AUTH"],
  ["relaymailfrom", "see relayclients: senders can be forged"],
  ["tcp.smtp", "copy it to smtprules, or compile it to tcp.smtp.cdb"],
  // Rewriting, routing and sending
  ["srs_domain", "senders of forwards are not rewritten"],
  ["srs_secrets", "senders of forwards are not rewritten"],
  ["srs_maxage", "senders of forwards are not rewritten"],
  ["srs_hashlength", "senders of forwards are not rewritten"],
  ["srs_hashmin", "senders of forwards are not rewritten"],
  ["srs_separator", "senders of forwards are not rewritten"],
  ["srs_alwaysrewrite", "senders of forwards are not rewritten"],
  ["taps", "no copies of other people's mail are made"],
  ["outgoingip", "connections leave from the address the system chooses"],
  ["bindroutes", "connections leave from the address the system chooses"],
  ["domainbindings", "connections leave from the address the system chooses"],
  ["moreipme", "own addresses are those of the interfaces"],
  ["notipme", "own addresses are those of the interfaces"],
  ["aliasdomains", "see virtualdomains"],
  ["authsenders", "see smtplogins"],
  ["smtproutes.cdb", "see smtproutes"],
  ["virtualdomains.cdb", "see virtualdomains"],
  ["locals.cdb", "see locals"],
  ["rcpthosts.cdb", "see rcpthosts and morercpthosts"],
  ["concurrencyremotebydomain", "see concurrencydestination"],
  ["channels", "see concurrencydestination"],
  ["custombouncetext", "bounces have no text of yours"],
  ["bounceauth", "see smtplogins"],
  ["doublebouncemaxbytes", "see bouncemaxbytes"],
  ["bounce_processor", "see bounceformat"],
  ["bigtodo", "the queue needs no such choice"],
  ["maxbodylength", "see databytes"],
  ["quotawarnmsg", "mailboxes have no quotas"],
  ["vlimits.default", "see the domains' own limits in vpopmail"],
  ["defaultquota", "mailboxes have no quotas"],
  // qmail-ldap
  ["ldapserver", "users are not looked up by LDAP"],
  ["ldapbasedn", "users are not looked up by LDAP"],
  ["ldaplogin", "users are not looked up by LDAP"],
  ["ldappassword", "users are not looked up by LDAP"],
  ["ldapmessagestore", "users are not looked up by LDAP"],
  ["dirmaker", "mailboxes are made where control/mailboxdomains says so"],
]);

/** What vpopmail, editors and packagers leave beside the files they change. */
const leftBehind = new Map([
  [".lock", "it only locks its neighbour"],
  ...[".bak", ".old", ".orig", ".save", ".rpmsave", ".rpmnew", ".dpkg-old", ".dpkg-dist", ".dpkg-new"].map(
    (suffix) => [suffix, "it is only a copy"] as const,
  ),
]);

/** Why a qmail control file has no effect here; `undefined` when it is none of those known. */
export const foreignControl = (name: string): string | undefined =>
  foreign.get(name) ?? leftBehind.get(name.slice(Math.max(0, name.lastIndexOf("."))));

/** One sentence for each file that is known from qmail and has no effect here. */
export const foreignNotes = (names: Iterable<string>): readonly string[] =>
  [...names].flatMap((name) => {
    const why = foreignControl(name);
    return why === undefined ? [] : [`control/${name}: qmail's; has no effect in Postern: ${why}`];
  });
