import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { TLSSocket } from "node:tls";

/** Says nothing, ever. */
export const hang = Symbol("hang");
/** Breaks the connection. */
export const die = Symbol("die");
/** Replies without the last CRLF; or one of the above; or something else with the socket, and with what comes, from here on. */
export type Act = string | typeof hang | typeof die | { readonly wild: (socket: Socket) => void };

/** Where a script can step in. "body": with the first octets of a message, instead of reading on; "idle": after a message. */
export type Point =
  | "connect"
  | "EHLO"
  | "HELO"
  | "STARTTLS"
  | "MAIL"
  | "RCPT"
  | "DATA"
  | "body"
  | "end"
  | "RSET"
  | "AUTH"
  | "BDAT"
  | "idle";

/** What to do at a point, instead of what a good server does; `undefined` for just that. `count`: how often it got there, from 1. */
export type Script = Partial<Record<Point, Act | ((line: string, count: number) => Act | undefined)>>;

export interface Received {
  readonly reversePath: string;
  readonly forwardPaths: readonly string[];
  /** As on the wire, without the final dot. */
  readonly body: string;
  readonly secure: boolean;
  /** Which connection of this peer, from 1. */
  readonly connection: number;
}

export interface SmtpPeer extends AsyncDisposable {
  readonly port: number;
  readonly received: Received[];
  /** Every line it was sent outside of messages, of all connections. */
  readonly lines: string[];
  readonly connections: number;
}

export interface PeerOptions {
  readonly script?: Script;
  /** Offered in reply to EHLO; PIPELINING, SIZE and 8BITMIME unless told otherwise. */
  readonly extensions?: readonly string[];
  readonly address?: string;
  readonly port?: number;
  /** LHLO instead of EHLO, and a reply for each recipient at "end" (RFC 2033). */
  readonly lmtp?: boolean;
  /** For STARTTLS, which is offered with it. */
  readonly tls?: { readonly key: string; readonly cert: string };
}

const good: Partial<Record<Point, string>> = {
  connect: "220 peer.example ESMTP",
  HELO: "250 peer.example",
  STARTTLS: "220 go ahead",
  MAIL: "250 2.1.0 ok",
  RCPT: "250 2.1.5 ok",
  DATA: "354 go ahead",
  end: "250 2.0.0 taken",
  RSET: "250 2.0.0 ok",
  AUTH: "235 2.7.0 ok",
};

/** An SMTP server on loopback that does as its script says, and keeps what it was sent. For tests only. */
export async function startSmtpPeer(options: PeerOptions = {}): Promise<SmtpPeer> {
  const sessions = new Set<Session>();
  const record: PeerRecord = { received: [], lines: [], counts: new Map() };
  let connections = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    const session = new Session(socket, ++connections, options, record);
    sessions.add(session);
    session.begin();
  });
  await listen(server, options.port ?? 0, options.address ?? "127.0.0.1");
  return {
    port: (server.address() as AddressInfo).port,
    received: record.received,
    lines: record.lines,
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      for (const session of sessions) session.destroy();
      await once(server, "close");
    },
  };
}

async function listen(server: Server, port: number, address: string): Promise<void> {
  server.listen(port, address);
  await once(server, "listening");
}

interface PeerRecord {
  readonly received: Received[];
  readonly lines: string[];
  readonly counts: Map<Point, number>;
}

class Session {
  #socket: Socket;
  readonly #connection: number;
  readonly #options: PeerOptions;
  readonly #record: PeerRecord;
  #input = "";
  /** The last octets before what comes next: the end of a message may be cut anywhere. */
  #tail = "";
  #inBody = false;
  #chunkOctets: number | undefined;
  #reversePath = "";
  #forwardPaths: string[] = [];

  constructor(socket: Socket, connection: number, options: PeerOptions, record: PeerRecord) {
    this.#socket = socket;
    this.#connection = connection;
    this.#options = options;
    this.#record = record;
  }

  begin(): void {
    this.#listen(this.#socket);
    this.#act("connect", "");
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #listen(socket: Socket): void {
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      const text = chunk.toString("latin1");
      const news = this.#tail + text;
      this.#tail = news.slice(-4);
      this.#input += text;
      // Nothing can be done before a message ends, and searching all of it again for each chunk would take for ever.
      if (this.#inBody && this.#options.script?.body === undefined && !news.includes("\r\n.\r\n")) return;
      this.#read();
    });
  }

  #read(): void {
    for (;;) {
      if (this.#inBody || this.#chunkOctets !== undefined) {
        if (!this.#readBody()) return;
        continue;
      }
      const end = this.#input.indexOf("\r\n");
      if (end < 0) return;
      const line = this.#input.slice(0, end);
      this.#input = this.#input.slice(end + 2);
      this.#record.lines.push(line);
      this.#obey(line);
    }
  }

  #obey(line: string): void {
    const verb = line.slice(0, 4).toUpperCase();
    if (verb === "QUIT") {
      this.#socket.end("221 bye\r\n");
      return;
    }
    if (verb === "MAIL") this.#reversePath = pathOf(line);
    const did = this.#act(points.get(verb) ?? (verb as Point), line);
    if (verb === "BDAT" && this.#forwardPaths.length > 0) this.#chunkOctets = Number(line.split(" ")[1]);
    if (verb === "RCPT" && did.startsWith("2")) this.#forwardPaths.push(pathOf(line));
    if (verb === "RSET") this.#forwardPaths = [];
    if (verb === "DATA" && did.startsWith("354")) this.#inBody = true;
    if (verb === "STAR" && did === good.STARTTLS) this.#startTls();
  }

  #readBody(): boolean {
    if (this.#chunkOctets !== undefined) return this.#readChunk(this.#chunkOctets);
    if (this.#input === "") return false;
    if (this.#options.script?.body !== undefined && this.#act("body", "") !== "") {
      this.#input = "";
      return false;
    }
    const empty = this.#input.startsWith(".\r\n");
    const end = empty ? 0 : this.#input.indexOf("\r\n.\r\n") + 2;
    if (!empty && end < 2) return false;
    const body = this.#input.slice(0, end);
    this.#input = this.#input.slice(end + 3);
    this.#take(body);
    return true;
  }

  #readChunk(octets: number): boolean {
    if (this.#input.length < octets) return false;
    const body = this.#input.slice(0, octets);
    this.#input = this.#input.slice(octets);
    this.#chunkOctets = undefined;
    this.#take(body);
    return true;
  }

  #take(body: string): void {
    this.#inBody = false;
    const secure = this.#socket instanceof TLSSocket;
    const [reversePath, forwardPaths] = [this.#reversePath, this.#forwardPaths];
    this.#forwardPaths = [];
    this.#record.received.push({ reversePath, forwardPaths, body, secure, connection: this.#connection });
    for (const path of this.#options.lmtp ? forwardPaths : [""]) this.#act("end", path);
    this.#act("idle", "");
  }

  /** Returns what was said, "" for nothing. */
  #act(point: Point, line: string): string {
    const count = (this.#record.counts.get(point) ?? 0) + 1;
    this.#record.counts.set(point, count);
    const scripted = this.#options.script?.[point];
    const act = (typeof scripted === "function" ? scripted(line, count) : scripted) ?? this.#usual(point);
    if (act === die) this.#socket.resetAndDestroy();
    if (typeof act !== "string") {
      this.#socket.removeAllListeners("data").pause();
      this.#input = "";
      if (typeof act === "object") act.wild(this.#socket);
      return "-";
    }
    if (act !== "") this.#socket.write(`${act}\r\n`, "latin1");
    return act;
  }

  #usual(point: Point): string {
    if (point !== "EHLO")
      return good[point] ?? (point === "body" || point === "idle" || point === "BDAT" ? "" : "500 5.5.2 what?");
    const { extensions = ["PIPELINING", "SIZE", "8BITMIME"], tls } = this.#options;
    const secure = this.#socket instanceof TLSSocket;
    const offered = ["peer.example", ...extensions, ...(tls && !secure ? ["STARTTLS"] : [])];
    return offered.map((word, at) => `250${at < offered.length - 1 ? "-" : " "}${word}`).join("\r\n");
  }

  #startTls(): void {
    const plain = this.#socket;
    plain.removeAllListeners("data");
    this.#input = "";
    this.#socket = new TLSSocket(plain, { isServer: true, ...this.#options.tls });
    this.#listen(this.#socket);
  }
}

const points: ReadonlyMap<string, Point> = new Map([
  ["STAR", "STARTTLS"],
  ["LHLO", "EHLO"],
]);

const pathOf = (line: string): string => line.slice(line.indexOf("<") + 1, line.indexOf(">"));
