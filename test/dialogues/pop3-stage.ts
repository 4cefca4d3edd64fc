import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Duplex, duplexPair } from "node:stream";
import type { MailboxProcess, SessionEvents } from "../../src/programs/local/mailboxes.ts";
import { serveSessions as serveAtLocal } from "../../src/programs/local/serve-pop3d.ts";
import { createTickets } from "../../src/programs/local/tickets.ts";
import { createPop3Service, type Pop3Service } from "../../src/programs/pop3d/serve.ts";
import { serveSessions } from "../../src/programs/pop3session/serve.ts";
import { readSettings } from "../../src/protocol/control/parse.ts";
import type { Event } from "../../src/protocol/event/event.ts";
import { done } from "../../src/protocol/outcome.ts";
import { createChannel } from "../../src/services/channel/channel.ts";
import type { CertificateFiles } from "../../src/services/tls/certificate.ts";
import { FakeDirectory } from "./fake-directory.ts";

export interface Pop3Stage extends AsyncDisposable {
  readonly service: Pop3Service;
  readonly directory: FakeDirectory;
  readonly port: number;
  /** The Maildir of joe@localhost, whose password is "secret". */
  readonly maildir: string;
  readonly events: readonly Event[];
}

export interface Pop3StageOptions {
  readonly control?: Readonly<Record<string, string>>;
  readonly service?: "pop3" | "pop3s";
  readonly certificates?: readonly CertificateFiles[];
  /** Text of messages by path below the Maildir. */
  readonly messages?: Readonly<Record<string, string>>;
}

/** pop3d, local's relay and a pop3session in this process, with a directory in memory. The clock stands still. */
export async function openPop3Stage(options: Pop3StageOptions = {}): Promise<Pop3Stage> {
  const control = { me: "localhost", clearlogin: "1", ...options.control };
  const settings = readSettings(new Map(Object.entries(control)));
  if (settings.kind !== "done") throw new Error(settings.text);
  const folder = mkdtempSync(join(tmpdir(), "postern-pop3-"));
  const maildir = join(folder, "Maildir");
  for (const part of ["tmp", "new", "cur"]) mkdirSync(join(maildir, part), { recursive: true });
  for (const [path, text] of Object.entries(options.messages ?? {})) writeFileSync(join(maildir, path), text, "latin1");

  const events: Event[] = [];
  const log = (event: Event): void => void events.push(event);
  const created = createPop3Service({ settings: settings.value, certificates: options.certificates ?? [], log });
  if (created.kind !== "done") throw new Error(created.text);
  const service = created.value;
  const listening = await service.listen({ port: 0, host: "127.0.0.1" }, options.service ?? "pop3");
  const address = listening.kind === "done" ? listening.value.address() : null;
  if (address === null || typeof address === "string") throw new Error("no port");

  const tickets = createTickets(() => 0);
  const directory = new FakeDirectory();
  directory.ticketFor = (account) => {
    const ticket = randomBytes(16);
    tickets.grant(ticket, account);
    return ticket;
  };
  await directory.connect(service.attachDirectory);
  const [ours, theirs] = socketPair();
  service.attachLocal(theirs);
  const process = openProcess(maildir);
  const desk = { tickets, find: async () => done({ uid: 0, gid: 0, folder: maildir, inode: 1 }), isOpen: () => true };
  const local = serveAtLocal(ours, { ...desk, mailboxes: { take: () => done(process), close: () => {} } });
  return {
    service,
    directory,
    port: address.port,
    maildir,
    events,
    async [Symbol.asyncDispose]() {
      for (let seconds = 0; seconds < 1_300; seconds++) service.tick();
      await service.stop();
      local.close();
      await directory.hangUp();
      rmSync(folder, { recursive: true });
    },
  };
}

/** As the kernel does, each side takes a copy of what is written: channels use their buffers again, and free them. */
function socketPair(): readonly [Duplex, Duplex] {
  const pair = duplexPair();
  for (const side of pair) {
    const pass = side._write.bind(side);
    side._write = (chunk, encoding, done) => pass(Buffer.from(chunk), encoding, done);
  }
  return pair;
}

function openProcess(maildir: string): MailboxProcess {
  const [ours, theirs] = socketPair();
  serveSessions(theirs, maildir, () => {});
  const sessions = new Map<number, SessionEvents>();
  const channel = createChannel(ours, {
    onFrame: (frame) => sessions.get(frame.stream)?.onFrame(frame),
    onClose() {
      for (const events of sessions.values()) events.onLost();
    },
  });
  let last = 0;
  return {
    open(events) {
      sessions.set(++last, events);
      return last;
    },
    send: (frame) => channel.send(frame),
    forget: (stream) => void sessions.delete(stream),
  };
}
