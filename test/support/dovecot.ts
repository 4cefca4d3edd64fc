import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { amongPeers } from "../setup.ts";

/** Whose mail, and where it is; the settings are Dovecot's own. */
export interface ImapSession {
  readonly uid: number;
  readonly home: string;
  readonly settings: Readonly<Record<string, string>>;
}

/** What a command brought: each untagged response with its literals, and the last line. */
export interface ImapReply {
  readonly untagged: readonly string[];
  readonly end: string;
}

/** Dovecot's `imap`, started for one user who needs no password, as over ssh. Needs root. */
export class Imap implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown>;
  #received = "";
  #complained = "";
  #commands = 0;

  private constructor(session: ImapSession) {
    const configuration = join(session.home, "..", `dovecot-${session.uid}.conf`);
    const settings = { log_path: "/dev/stderr", ssl: "no", mail_fsync: "never", ...session.settings };
    writeFileSync(
      configuration,
      Object.entries(settings)
        .map(([name, value]) => `${name} = ${value}\n`)
        .join(""),
    );
    const [command = "", ...args] = amongPeers;
    const id = String(session.uid);
    const become = ["setpriv", "--reuid", id, "--regid", id, "--clear-groups", "env", "-i"];
    const environment = ["PATH=/usr/bin:/bin", `HOME=${session.home}`, `USER=u${id}`];
    const imap = ["/usr/lib/dovecot/imap", "-c", configuration];
    this.#process = spawn(command, [...args, "-c", 'exec "$@"', "sh", ...become, ...environment, ...imap]);
    this.#exited = once(this.#process, "exit");
    this.#process.stdin?.on("error", () => {});
    this.#process.stdout?.on("data", (chunk: Buffer) => (this.#received += chunk.toString("latin1")));
    this.#process.stderr?.on("data", (chunk: Buffer) => (this.#complained += chunk.toString("latin1")));
  }

  static async start(session: ImapSession): Promise<Imap> {
    const imap = new Imap(session);
    await imap.#response();
    return imap;
  }

  /** What it wrote to its log, the closing line of a good session left out. */
  get complaints(): readonly string[] {
    return this.#complained.split("\n").filter((line) => line !== "" && !line.includes("Logged out"));
  }

  /** Throws unless the answer is OK. */
  async command(text: string): Promise<ImapReply> {
    const tag = `t${++this.#commands}`;
    this.#process.stdin?.write(`${tag} ${text}\r\n`, "latin1");
    const untagged: string[] = [];
    for (;;) {
      const response = await this.#response();
      if (!response.startsWith(`${tag} `)) {
        untagged.push(response);
        continue;
      }
      if (!response.startsWith(`${tag} OK`)) throw new Error(`${text}: ${response}${this.#complained}`);
      return { untagged, end: response };
    }
  }

  async #response(): Promise<string> {
    for (;;) {
      const end = endOfResponse(this.#received);
      if (end !== undefined) {
        const response = this.#received.slice(0, end);
        this.#received = this.#received.slice(end);
        return response;
      }
      if (this.#process.exitCode !== null) throw new Error(`imap ended: ${this.#complained}`);
      await Promise.race([once(this.#process.stdout ?? this.#process, "data"), this.#exited]);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.stdin?.end("x LOGOUT\r\n");
    await this.#exited;
  }
}

/** Where the first response ends, its literals passed over; undefined when it is not all there. */
function endOfResponse(octets: string): number | undefined {
  for (let at = 0; ; ) {
    const lineEnd = octets.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const literal = /\{(\d{1,9})\}$/.exec(octets.slice(Math.max(at, lineEnd - 12), lineEnd));
    if (!literal) return lineEnd + 2;
    at = lineEnd + 2 + Number(literal[1]);
  }
}

export interface Fetched {
  readonly uid: number;
  readonly flags: readonly string[];
  readonly text: string;
}

/** The messages from `firstUid` on, whole, their lines ended by LF. */
export async function fetchFrom(imap: Imap, firstUid: number): Promise<readonly Fetched[]> {
  const { untagged } = await imap.command(`UID FETCH ${firstUid}:* (FLAGS BODY.PEEK[])`);
  const fetched = untagged.flatMap((response) => {
    const uid = Number(/UID (\d+)/.exec(response)?.[1]);
    const body = /BODY\[\] (?:\{(\d+)\}\r\n|"")/.exec(response);
    if (!body) return [];
    const from = body.index + body[0].length;
    const text = response.slice(from, from + Number(body[1] ?? 0)).replaceAll("\r\n", "\n");
    const flags = /FLAGS \(([^)]*)\)/.exec(response)?.[1]?.split(" ").filter(Boolean) ?? [];
    return uid < firstUid ? [] : [{ uid, flags, text }];
  });
  return fetched;
}
