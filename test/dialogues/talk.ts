import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";

/** One end of a conversation in lines. Waits end with an error after `patienceMs`, so that a test never hangs. */
export class Talk {
  #socket: Socket;
  #received = "";
  #ended = false;
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#listen(socket);
  }

  #listen(socket: Socket): void {
    const end = (): void => {
      this.#ended = true;
      this.#wake();
    };
    socket.on("data", (chunk: Buffer) => {
      this.#received += chunk.toString("latin1");
      this.#wake();
    });
    socket.on("error", () => {}); // a reset shows as the end
    socket.on("end", end);
    socket.on("close", end);
  }

  /** To a port, or to a socket in the file system. */
  static async open(to: number | string, host = "127.0.0.1"): Promise<Talk> {
    const socket = connect({ ...(typeof to === "string" ? { path: to } : { port: to, host }), allowHalfOpen: true });
    await once(socket, "connect");
    return new Talk(socket);
  }

  /** Speaks TLS from here on; throws when there is no understanding. */
  async secure(options: ConnectionOptions = {}): Promise<void> {
    this.#socket.removeAllListeners();
    const secured = connectTls({ rejectUnauthorized: false, ...options, socket: this.#socket });
    await once(secured, "secureConnect");
    this.#socket = secured;
    this.#listen(secured);
  }

  send(text: string): void {
    this.#socket.write(text, "latin1");
  }

  /** The next line without its CR LF, or undefined at the end of the conversation. */
  async line(patienceMs = 10_000): Promise<string | undefined> {
    for (;;) {
      const end = this.#received.indexOf("\r\n");
      if (end >= 0) {
        const line = this.#received.slice(0, end);
        this.#received = this.#received.slice(end + 2);
        return line;
      }
      if (this.#ended) return undefined;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const patience = setTimeout(() => reject(new Error("no line came")), patienceMs);
      await promise.finally(() => clearTimeout(patience));
    }
  }

  /** The last line of the next reply, which may have several. */
  async reply(): Promise<string> {
    for (;;) {
      const line = (await this.line()) ?? "(closed)";
      if (line.charAt(3) !== "-") return line;
    }
  }

  async ask(command: string): Promise<string> {
    this.send(`${command}\r\n`);
    return this.reply();
  }

  /** Octets given to the socket that the kernel has not taken. */
  get unsentOctets(): number {
    return this.#socket.writableLength;
  }

  /** We say nothing more, and still listen. */
  endOutput(): void {
    this.#socket.end();
  }

  close(): void {
    this.#socket.destroy();
  }
}
