/**
 * Every control file there is: one row each. From this table come the parser, `postern config`, the documentation and
 * the errors. What is not here does not exist, and is reported as unknown.
 */
export type Control =
  | { readonly kind: "line"; readonly default: string | FromMe }
  | {
      readonly kind: "integer";
      readonly default: number;
      readonly least: number;
      readonly most: number;
      readonly unit: string;
    }
  | { readonly kind: "list"; readonly default: readonly string[] | FromMe }
  | { readonly kind: "map"; readonly default: readonly (readonly [string, string])[] };

/** The default is what control/me says. */
export type FromMe = { readonly fromMe: true };
const fromMe: FromMe = { fromMe: true };

export type Reader =
  | "smtpd"
  | "qmtpd"
  | "qmqpd"
  | "hook"
  | "queue"
  | "directory"
  | "pop3d"
  | "local"
  | "remote"
  | "logger"
  | "supervise"
  | "inject";

export interface Described {
  readonly readBy: readonly Reader[];
  readonly since: string;
  readonly meaning: string;
}

const line = (value: string | FromMe) => ({ kind: "line", default: value }) as const;
const list = (value: readonly string[] | FromMe = []) => ({ kind: "list", default: value }) as const;
const map = () => ({ kind: "map", default: [] }) as const;
const integer = (value: number, least: number, most: number, unit: string) =>
  ({ kind: "integer", default: value, least, most, unit }) as const;
const row = <C extends Control>(control: C, readBy: readonly Reader[], meaning: string, since = "qmail") =>
  ({ ...control, readBy, meaning, since }) as const;

const oneGiB = 2 ** 30;

export const controls = {
  me: row(
    line("localhost"),
    ["supervise", "smtpd", "qmtpd", "qmqpd", "pop3d", "hook", "queue", "remote", "inject", "local"],
    "this server's full name, and the default of many others",
  ),

  // What is ours, and who may relay
  locals: row(list(fromMe), ["queue", "directory", "smtpd", "qmtpd"], "domains delivered here, exact names"),
  virtualdomains: row(
    map(),
    ["queue", "directory", "smtpd", "qmtpd"],
    "`user@domain:prefix`, `domain:prefix`, `.domain:prefix` or `:prefix`: delivered here as prefix-user@domain; an empty prefix makes an exception",
  ),
  mailboxdomains: row(
    list(),
    ["queue", "directory", "smtpd", "qmtpd", "local"],
    "domains whose mailboxes are folders under mail/DOMAIN/; with `:create` after the name a mailbox is made by its first message; with `:accounts` they are those of its accounts: see `postern domain`",
    "0.1",
  ),
  extensiondelimiters: row(
    line("-"),
    ["local", "directory"],
    "what divides a user's name from an extension, each octet of it: with `-+` user+tag is user's too; in domains with accounts `+` always does",
    "0.1",
  ),
  percenthack: row(
    list(),
    ["queue", "directory", "smtpd", "qmtpd"],
    "domains where user%domain@here means user@domain",
  ),
  envnoathost: row(line(fromMe), ["queue", "directory", "smtpd", "qmtpd"], "the domain of recipients without one"),
  rcpthosts: row(
    list(),
    ["smtpd", "qmtpd"],
    "domains accepted from anybody, `.domain` for all below it. Missing: those of locals, virtualdomains and mailboxdomains, never everything",
  ),
  morercpthosts: row(list(), ["smtpd", "qmtpd"], "more of rcpthosts, for long lists; morercpthosts.cdb is read too"),
  relayclients: row(
    list(),
    ["smtpd", "qmtpd"],
    "addresses and networks (192.0.2.0/24, 2001:db8::/32) that may relay to anywhere",
    "0.1",
  ),
  badmailfrom: row(
    list(),
    ["smtpd"],
    "refused senders: `user@domain`, `@domain`, `@.domain` for all below it, `user@`",
  ),
  badrcptto: row(list(), ["smtpd", "qmtpd"], "refused recipients, whoever sends; in the form of badmailfrom", "0.1"),
  smtprules: row(
    list(),
    ["smtpd", "qmtpd"],
    'by client address, in tcprules\' form: `192.0.2.:allow,RELAYCLIENT=""`, `198.51.100.0/24:deny`; without the file tcp.smtp.cdb, as tcprules makes it, is read',
    "0.1",
  ),
  qmailqueue: row(
    line(""),
    ["supervise", "smtpd", "qmtpd", "qmqpd", "hook"],
    "program that takes messages from the network as qmail-queue would, and passes them on to `qmail-queue`: a filter; for some clients only by QMAILQUEUE in smtprules. The first one there counts from the next start on",
    "0.1",
  ),
  databytes: row(
    integer(0, 0, 4 * oneGiB, "octets"),
    ["smtpd", "qmtpd"],
    "largest message taken, 0 for any size up to 4 GiB",
  ),

  // Listening
  smtplisten: row(
    list(["0.0.0.0:25", "[::]:25"]),
    ["supervise"],
    "where smtpd listens for other servers: `address:port`",
    "0.1",
  ),
  submissionlisten: row(
    list(["0.0.0.0:587", "[::]:587"]),
    ["supervise"],
    "where smtpd listens for mail programs: `address:port`",
    "0.1",
  ),
  smtpslisten: row(
    list(["0.0.0.0:465", "[::]:465"]),
    ["supervise"],
    "where smtpd listens for mail programs that speak TLS from the first octet: `address:port`; nowhere while tls/ has no certificate",
    "0.1",
  ),
  tlsminimum: row(
    line("1.2"),
    ["supervise", "smtpd", "pop3d"],
    "oldest version of TLS that clients may speak: `1.2` or `1.3`",
    "0.1",
  ),
  tlsciphers: row(
    line(
      [
        "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256",
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305",
      ].join(":"),
    ),
    ["supervise", "smtpd", "pop3d"],
    "ciphers that clients may use, as OpenSSL names them, those of TLS 1.3 too",
    "0.1",
  ),
  lmtplisten: row(
    list(),
    ["supervise"],
    "where smtpd takes mail by LMTP from programs of this host: the path of a socket, or `address:port` of the loopback network",
    "0.1",
  ),
  authmechanisms: row(
    list(["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"]),
    ["smtpd"],
    "how clients may log in (AUTH), the first preferred; `CRAM-MD5` can be added where keeppasswords is on",
    "0.1",
  ),
  authwithouttls: row(
    integer(0, 0, 1, "0 or 1"),
    ["smtpd"],
    "1: clients on this host may log in without TLS; others never",
    "0.1",
  ),
  authonport25: row(integer(0, 0, 1, "0 or 1"), ["smtpd"], "1: clients may log in on port 25 too", "0.1"),
  completeheader: row(
    integer(1, 0, 1, "0 or 1"),
    ["smtpd"],
    "1: mail of those who logged in gets the Date, From and Message-ID that it lacks, and a Sender where From has several addresses",
    "0.1",
  ),
  fromcheck: row(
    line("reject"),
    ["smtpd"],
    "`reject`: who logged in writes only addresses into From and Sender that it may send as; `accept`: any",
    "0.1",
  ),
  hideclient: row(
    integer(0, 0, 1, "0 or 1"),
    ["smtpd"],
    "1: Received does not tell where mail of those who logged in comes from",
    "0.1",
  ),
  qmtplisten: row(
    list(),
    ["supervise"],
    "where qmtpd listens for other servers by QMTP, `0.0.0.0:209` as a rule; none: there is no qmtpd",
    "0.1",
  ),
  qmqplisten: row(
    list(),
    ["supervise"],
    "where qmqpd listens for hosts without a queue, `0.0.0.0:628` as a rule, beside the socket for local users",
    "0.1",
  ),
  qmqpclients: row(
    list(),
    ["qmqpd"],
    "addresses and networks that may hand in mail at qmqplisten, to anywhere, unchecked; none: nobody",
    "0.1",
  ),
  pop3listen: row(
    list(),
    ["supervise"],
    "where pop3d listens for mail programs, `0.0.0.0:110` as a rule, TLS by STLS; neither this nor pop3slisten: there is no pop3d",
    "0.1",
  ),
  pop3slisten: row(
    list(),
    ["supervise"],
    "where pop3d listens for mail programs that begin with TLS, `0.0.0.0:995` as a rule",
    "0.1",
  ),
  authsocket: row(
    integer(0, 0, 1, "0 or 1"),
    ["supervise"],
    "1: other servers of this host, Dovecot for one, may ask for passwords with `postern-checkpassword`, if they are in the group postern-auth",
    "0.1",
  ),
  popbeforesmtp: row(
    integer(0, 0, 1_440, "minutes"),
    ["smtpd", "directory"],
    "so long after a POP3 login its address may send to anywhere on port 25; 0: logging in at POP3 allows nothing else",
    "0.1",
  ),
  timeoutpop3d: row(
    integer(1_200, 600, 86_400, "seconds"),
    ["pop3d"],
    "longest silence of a POP3 client (RFC 1939 asks for at least 600); who has not logged in after 180 is not kept",
    "0.1",
  ),
  apop: row(
    integer(0, 0, 1, "0 or 1"),
    ["pop3d"],
    "1: APOP is offered; it needs passwords that are kept in clear, as an external checker may have them",
    "0.1",
  ),
  clearlogin: row(
    integer(0, 0, 1, "0 or 1"),
    ["pop3d"],
    "1: who connects from this host (127.0.0.0/8, ::1) may log in without TLS; from elsewhere nobody may",
    "0.1",
  ),
  smtpdprocesses: row(
    integer(0, 0, 64, "processes"),
    ["supervise"],
    "smtpd processes on one port, 0 for one for each two cores",
    "0.1",
  ),
  smtpgreeting: row(line(fromMe), ["smtpd"], "first words of the greeting; the first should be the server's name"),
  localiphost: row(line(fromMe), ["smtpd"], "replaces `[own.ip.address]` in recipients"),
  timeoutsmtpd: row(
    integer(300, 1, 86_400, "seconds"),
    ["smtpd", "qmtpd"],
    "longest silence of a client (RFC 5321 asks for at least 300)",
  ),
  maxconnections: row(
    integer(1_000, 1, 100_000, "connections"),
    ["smtpd", "qmtpd", "pop3d"],
    "SMTP connections at once, all clients together; one more is answered 421",
    "0.1",
  ),
  maxconnectionsperaddress: row(
    integer(100, 1, 100_000, "connections"),
    ["smtpd", "qmtpd", "pop3d"],
    "SMTP connections at once from one address (IPv6: one /64)",
    "0.1",
  ),
  maxrecipients: row(
    integer(1_000, 100, 100_000, "recipients"),
    ["smtpd", "qmtpd"],
    "recipients of one message; one more is answered 452",
    "0.1",
  ),
  recipientcheck: row(
    line("reject"),
    ["smtpd"],
    "`reject`: a recipient here that has no mailbox is refused at RCPT; `accept`: taken, and bounced later as qmail does",
    "0.1",
  ),
  maxunknownrecipients: row(
    integer(20, 0, 100_000, "recipients"),
    ["smtpd"],
    "recipients without a mailbox that one SMTP session may ask for, the last is answered 421; 0 for any number. Clients that may relay may ask for any number",
    "0.1",
  ),
  maxunknownperaddress: row(
    integer(100, 0, 1_000_000, "recipients"),
    ["smtpd"],
    "recipients without a mailbox that one address (IPv6: one /64) may ask for within an hour, then 421; 0 for any number",
    "0.1",
  ),
  maxunknownpernetwork: row(
    integer(500, 0, 1_000_000, "recipients"),
    ["smtpd"],
    "as maxunknownperaddress, for a whole network: a /24, IPv6 a /48",
    "0.1",
  ),
  proxyclients: row(
    list(),
    ["smtpd", "directory"],
    "addresses and networks of proxies, which must begin with the PROXY protocol (version 1 or 2) and whose word on who the client is counts; nobody else may",
    "0.1",
  ),
  maxmessagesperaddress: row(
    integer(0, 0, 10_000_000, "messages"),
    ["smtpd"],
    "messages taken from one address (IPv6: one /64) within an hour, then 452; 0 for any number. Clients that may relay send any number",
    "0.1",
  ),
  maxrecipientsperaddress: row(
    integer(0, 0, 10_000_000, "recipients"),
    ["smtpd"],
    "recipients of messages from one address (IPv6: one /64) within an hour, then 452; 0 for any number",
    "0.1",
  ),
  maxmessagesperaccount: row(
    integer(500, 0, 10_000_000, "messages"),
    ["smtpd"],
    "messages taken from one account within an hour, from wherever it logs in, then 452; 0 for any number",
    "0.1",
  ),
  maxrecipientsperaccount: row(
    integer(2_000, 0, 10_000_000, "recipients"),
    ["smtpd"],
    "recipients of messages of one account within an hour, then 452; 0 for any number",
    "0.1",
  ),
  maxheaderbytes: row(integer(0, 0, oneGiB, "octets"), ["smtpd"], "largest header of a message, 0 for any size", "0.1"),
  greetingdelay: row(
    integer(0, 0, 60, "seconds"),
    ["smtpd"],
    "pause before the greeting on port 25, for clients that may not relay; who speaks in it is refused",
    "0.1",
  ),
  timeoutmessage: row(
    integer(7_200, 60, 86_400, "seconds"),
    ["smtpd"],
    "longest time from MAIL to the end of the message, however busy the client is",
    "0.1",
  ),
  unknownrecipientdelay: row(
    integer(2, 0, 60, "seconds"),
    ["smtpd"],
    "pause before the answer to each recipient without a mailbox, from the fourth of a session on",
    "0.1",
  ),
  vrfy: row(
    integer(0, 0, 1, "0 or 1"),
    ["smtpd"],
    "1: VRFY is answered as RCPT would be, and guesses count as there; 0: always 252. EXPN is refused",
    "0.1",
  ),
  maxhold: row(
    integer(604_800, 0, 31_536_000, "seconds"),
    ["smtpd"],
    "longest that a client which may relay can ask for a message to be held (FUTURERELEASE); 0: not offered",
    "0.1",
  ),
  maxpriority: row(
    integer(4, 0, 9, "of 9"),
    ["smtpd"],
    "highest priority that a client which may relay can ask for (MT-PRIORITY); who asks for more gets this",
    "0.1",
  ),
  maxhops: row(
    integer(100, 10, 1_000, "lines"),
    ["smtpd", "qmtpd"],
    "Received and Delivered-To lines a message may have",
    "0.1",
  ),

  // Accounts
  loginfailuresperaddress: row(
    integer(20, 0, 1_000_000, "logins"),
    ["directory"],
    "failed logins of one address (IPv6: one /64) in an hour; then no more of its logins are looked at for a while; 0 for any number",
    "0.1",
  ),
  loginfailurespernetwork: row(
    integer(100, 0, 1_000_000, "logins"),
    ["directory"],
    "as loginfailuresperaddress, for a whole network: a /24, IPv6 a /48",
    "0.1",
  ),
  loginfailuresperaccount: row(
    integer(50, 0, 1_000_000, "logins"),
    ["directory"],
    "as loginfailuresperaddress, to one account, whoever tries; networks it has been used from are not shut out",
    "0.1",
  ),
  checkpassword: row(
    line(""),
    ["directory", "local"],
    "program, with its arguments, that is asked about passwords of accounts that are none of ours, by the interface of checkpassword: name and password on descriptor 3, exit 0 or 1; it runs as root, to log users of the system in",
    "0.1",
  ),
  keeppasswords: row(
    integer(0, 0, 1, "0 or 1"),
    ["directory"],
    "1: passwords set from now on are kept as they are, which CRAM-MD5 and APOP need, and who reads the store has them",
    "0.1",
  ),

  // The queue
  concurrencylocal: row(integer(100, 0, 10_000, "deliveries"), ["queue"], "local deliveries at once, 0 to hold them"),
  concurrencyremote: row(integer(100, 0, 10_000, "deliveries"), ["queue"], "remote deliveries at once, 0 to hold them"),
  concurrencydestination: row(
    integer(20, 1, 10_000, "deliveries"),
    ["queue"],
    "deliveries at once to one remote domain, or to one local address",
    "0.1",
  ),
  maxtransactionrecipients: row(
    integer(100, 1, 1_000, "recipients"),
    ["queue"],
    "recipients of one domain handed to it in one SMTP transaction",
    "0.1",
  ),
  queuelifetime: row(
    integer(604_800, 0, 31_536_000, "seconds"),
    ["queue"],
    "age after which the next failed attempt is the last",
  ),
  delaywarning: row(
    integer(0, 0, 31_536_000, "seconds"),
    ["queue"],
    "age after which a sender is told, once, that a message still waits, unless NOTIFY says otherwise; 0: only who asked is told, after 4 hours",
    "0.1",
  ),
  bouncefrom: row(line("MAILER-DAEMON"), ["queue"], "local part of the sender of bounces"),
  bouncehost: row(line(fromMe), ["queue"], "domain of the sender of bounces"),
  bounceformat: row(
    line("dsn"),
    ["queue"],
    "`dsn`: RFC 3464 with qmail's text as its first part; `qsbmf`: qmail's plain form",
    "0.1",
  ),
  bouncemaxbytes: row(
    integer(50_000, 0, oneGiB, "octets"),
    ["queue"],
    "a longer message comes back as its header only",
    "0.1",
  ),
  doublebounceto: row(
    line("postmaster"),
    ["queue"],
    "local part of who gets bounces that bounced; an empty first line discards them",
  ),
  doublebouncehost: row(line(fromMe), ["queue"], "domain of who gets bounces that bounced"),

  // Local delivery
  defaultdelivery: row(list(["./Maildir/"]), ["local"], "the .qmail lines of users who have none"),
  systemusers: row(
    integer(1, 0, 1, "0 or 1"),
    ["local"],
    "accounts of this system get mail, when started as root",
    "0.1",
  ),
  overquota: row(
    line("temporary"),
    ["local"],
    "what a message gets whose mailbox is full: `temporary`, it is tried again until it is too old, or `permanent`, it bounces at once",
    "0.1",
  ),
  mailfolders: row(
    list(["/var/mail", "/var/spool/mail"]),
    ["local"],
    "folders outside their home that users' .qmail lines may write to",
    "0.1",
  ),

  // Remote delivery
  helohost: row(line(fromMe), ["remote"], "our name in EHLO"),
  smtproutes: row(
    map(),
    ["remote"],
    "`domain:relay:port`, `.domain:relay`, `:relay`: to the relay instead of the MX; an empty relay makes an exception",
  ),
  qmtproutes: row(map(), ["remote"], "as smtproutes, and before it, for relays that speak QMTP, port 209 unless given"),
  lmtproutes: row(
    map(),
    ["remote"],
    "as smtproutes, and before all other routes, for servers that speak LMTP, port 24 unless given: a mail store such as Dovecot",
    "0.1",
  ),
  smtplogins: row(
    map(),
    ["remote"],
    "`relay:user:password`: how we log in to that relay of smtproutes, once its certificate names it. Keep it from others: mode 0600",
    "0.1",
  ),
  tlspolicy: row(
    map(),
    ["remote"],
    "`host:level`, `.host:level`, `:level` for all others, by the relay's name where a route names one, else by domain. Levels: `none`; `may`, TLS where it can be had; `encrypt`, no mail without; `verify`, no mail without a certificate for the host or domain, or for a name that follows: `verify .example.net`. Missing: may",
    "0.1",
  ),
  tlscas: row(
    list(),
    ["remote"],
    "PEM certificates of the authorities that `verify` believes; may be a link to /etc/ssl/certs/ca-certificates.crt. Missing: those that Node brings",
    "0.1",
  ),
  timeoutconnect: row(integer(60, 1, 3_600, "seconds"), ["remote"], "longest wait for a connection"),
  timeoutremote: row(
    integer(1_200, 1, 86_400, "seconds"),
    ["remote"],
    "longest silence of a peer; the shorter times of RFC 5321 §4.5.3.2 apply within it",
  ),
  nameservers: row(
    list(),
    ["remote"],
    "DNS servers, `address` or `address:port`; none: those of /etc/resolv.conf",
    "0.1",
  ),
  dnssec: row(
    line("off"),
    ["remote"],
    "`on`: the DNS servers are on this host and check DNSSEC, and DANE holds; `trustad`: the same of servers elsewhere, when nobody between can change what they say; `off`",
    "0.1",
  ),
  mtasts: row(integer(0, 0, 1, "0 or 1"), ["remote"], "1: policies of MTA-STS are looked up, and hold", "0.1"),
  remoteprocesses: row(integer(1, 1, 64, "processes"), ["supervise"], "remote processes", "0.1"),

  // Injection
  qmqpservers: row(
    list(),
    ["inject"],
    "servers that inject and sendmail hand messages to by QMQP, in order, `address` or `address:port` (628): this host needs no queue",
  ),
  defaultdomain: row(line(fromMe), ["inject"], "added to host names without a dot"),
  defaulthost: row(line(fromMe), ["inject"], "added to addresses without a host"),
  idhost: row(line(fromMe), ["inject", "smtpd"], "the host of Message-IDs we make"),
  plusdomain: row(line(fromMe), ["inject"], "replaces a + at the end of a host"),

  // The log
  logbytes: row(
    integer(16_777_216, 65_536, oneGiB, "octets"),
    ["logger"],
    "size at which the log file is put aside",
    "0.1",
  ),
  logfiles: row(integer(10, 1, 10_000, "files"), ["logger"], "log files kept", "0.1"),
} as const satisfies Record<string, Control & Described>;

export type ControlName = keyof typeof controls;

/** Holds passwords: goes only to its readers, is not shown in lists, and need not be readable for others. */
export const isSecret = (name: string): boolean => name === "smtplogins";

interface KindValues {
  readonly line: string;
  readonly integer: number;
  readonly list: readonly string[];
  /** Keys in lower case; the last line of a key wins. */
  readonly map: readonly (readonly [string, string])[];
}
export type ControlValue = KindValues[keyof KindValues];

/** The value of every control file, defaults filled in. Plain data: it crosses between programs as JSON. */
export type Settings = { readonly [Name in ControlName]: KindValues[(typeof controls)[Name]["kind"]] } & {
  /** Names of the control files that exist: a missing rcpthosts is not an empty one. */
  readonly present: readonly ControlName[];
};
