import { join } from "node:path";

/** Where things are. */
export interface Layout {
  readonly control: string;
  readonly users: string;
  /** Certificates and their private keys: tls/NAME/fullchain.pem, tls/NAME/privkey.pem. */
  readonly tls: string;
  readonly queue: string;
  /** Virtual mailboxes: mail/DOMAIN/LOCALPART. */
  readonly mail: string;
  /** Home of the addresses no user controls (qmail's alias). */
  readonly alias: string;
  /** Accounts and their passwords. */
  readonly directory: string;
  /** Messages that a program of the site's is looking at. */
  readonly hook: string;
  readonly log: string;
  readonly run: string;
}

/** One user, no root: everything under one folder. */
export const embeddedLayout = (root: string): Layout => ({
  control: join(root, "control"),
  users: join(root, "users"),
  tls: join(root, "tls"),
  queue: join(root, "queue"),
  mail: join(root, "mail"),
  alias: join(root, "alias"),
  directory: join(root, "directory"),
  hook: join(root, "hook"),
  log: join(root, "log"),
  run: join(root, "run"),
});

/** The Filesystem Hierarchy Standard's places, below `root` ("/" but in tests). */
export const systemLayout = (root: string): Layout => ({
  control: join(root, "etc/postern/control"),
  users: join(root, "etc/postern/users"),
  tls: join(root, "etc/postern/tls"),
  queue: join(root, "var/lib/postern/queue"),
  mail: join(root, "var/lib/postern/mail"),
  alias: join(root, "var/lib/postern/alias"),
  directory: join(root, "var/lib/postern/directory"),
  hook: join(root, "var/lib/postern/hook"),
  log: join(root, "var/log/postern"),
  run: join(root, "run/postern"),
});

/** What `local` knows of the accounts: which there are, and no passwords. */
export const accountsCdbPath = (directory: string): string => join(directory, "accounts.cdb");
/** The operator's socket: `postern status`, `queue`, `reload`, `stop`. Mode 0600. */
export const controlSocket = (layout: Layout): string => join(layout.run, "control");
/** Where other servers of this host ask for passwords. Only root and the group postern-auth may connect. */
export const authSocket = (layout: Layout): string => join(layout.run, "auth", "checkpassword");
/** Where local users hand in mail, by QMQP. Anybody may connect. */
export const submissionSocket = (layout: Layout): string => join(layout.run, "submission", "qmqp");
