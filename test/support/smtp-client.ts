import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

/** A plain SMTP client that shows each reply; it knows nothing it need not know. */
export class SmtpClient {
  #socket: Socket;
  #received = "";
  #ended = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    this.#listen(socket);
  }

  #listen(socket: Socket): void {
    socket.on("data", (chunk: Buffer) => {
      this.#received += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#ended = true;
    });
  }

  /** Connects, from an address of ours if it matters, and reads the greeting; throws when nobody listens. */
  static async open(port: number, host = "127.0.0.1", localAddress?: string): Promise<SmtpClient> {
    const socket = connect({ port, host, ...(localAddress !== undefined && { localAddress }) });
    await once(socket, "connect");
    const client = new SmtpClient(socket);
    await client.reply();
    return client;
  }

  /** The next whole reply, all its lines; "" when the connection ends before. */
  async reply(): Promise<string> {
    for (;;) {
      const end = /^(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*)?\r?\n/.exec(this.#received);
      if (end) {
        this.#received = this.#received.slice(end[0].length);
        return end[0].trimEnd();
      }
      if (this.#ended) return "";
      await this.#either("data", "close");
    }
  }

  send(octets: string | Buffer): void {
    this.#socket.write(typeof octets === "string" ? Buffer.from(octets, "latin1") : octets);
  }

  /** Speaks TLS from here on, with whoever it is; false when there is no understanding. */
  async secure(): Promise<boolean> {
    this.#socket.removeAllListeners();
    this.#socket = connectTls({ socket: this.#socket, rejectUnauthorized: false });
    this.#listen(this.#socket);
    await this.#either("secureConnect", "close");
    return !this.#ended;
  }

  /** Waits until the kernel has taken what was sent. */
  async drained(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#socket.write("", () => resolve()); // with an error when the connection has ended
    await promise;
  }

  /** An error is always followed by "close", so it needs no care of its own. */
  #either(...events: readonly string[]): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const happened = (): void => {
      for (const event of events) this.#socket.off(event, happened);
      resolve();
    };
    for (const event of events) this.#socket.on(event, happened);
    return promise;
  }

  async command(line: string): Promise<string> {
    this.send(`${line}\r\n`);
    return this.reply();
  }

  /** One message, its lines ended by LF; the reply to its last dot, or the first reply that refused. */
  async message(reversePath: string, forwardPaths: readonly string[], text: string): Promise<string> {
    const commands = [`MAIL FROM:<${reversePath}>`, ...forwardPaths.map((path) => `RCPT TO:<${path}>`), "DATA"];
    for (const command of commands) {
      const reply = await this.command(command);
      if (!/^[23]/.test(reply)) return reply;
    }
    const stuffed = text.replace(/^\./gm, "..").replace(/\n/g, "\r\n");
    this.send(`${stuffed}${stuffed === "" || stuffed.endsWith("\n") ? "" : "\r\n"}.\r\n`);
    return this.reply();
  }

  async quit(): Promise<void> {
    await this.command("QUIT");
    this.close();
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** The first line a server says, or undefined when nobody listens or answers. */
export async function greeting(port: number): Promise<string | undefined> {
  const socket = connect(port, "127.0.0.1");
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const timer = setTimeout(() => resolve(undefined), 5_000);
  socket.on("data", (chunk: Buffer) => resolve(chunk.toString("latin1")));
  socket.on("error", () => setTimeout(() => resolve(undefined), 50));
  socket.on("close", () => resolve(undefined));
  const line = await promise;
  clearTimeout(timer);
  socket.destroy();
  return line;
}
