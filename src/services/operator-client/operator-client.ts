import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { dirname } from "node:path";
import { done, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { displayPath } from "../layout/find-layout.ts";
import { controlSocket, type Layout } from "../layout/layout.ts";

/** An open conversation with the server: JSON lines both ways. */
export interface Operator {
  ask(request: object): void;
  /** The next line. A failure is permanent when the server has refused, else there was no line that can be read. */
  next(): Promise<Outcome<Answer>>;
  /** Resolves when the server has closed its side. */
  ended(): Promise<void>;
  close(): void;
}

export type Answer = Readonly<Record<string, unknown>>;

/** The longest line is a message shown with all its recipients. */
const maxLineOctets = 67_108_864;

/** Connects to the running server's control socket, which only its own user may open. */
export async function openOperator(layout: Layout): Promise<Outcome<Operator>> {
  const path = controlSocket(layout);
  const socket = connect({ path });
  try {
    await once(socket, "connect");
  } catch (error) {
    return whyNot(layout, path, (error as NodeJS.ErrnoException).code);
  }
  const lines = readLines(socket);
  return done({
    ask: (request) => void socket.write(`${JSON.stringify(request)}\n`),
    async next() {
      try {
        const { value } = await lines.next();
        if (value === undefined) return temporary("3.0", "the server closed the connection");
        return parseAnswer(value);
      } catch (error) {
        return temporary("3.0", `the connection with the server was lost: ${(error as Error).message}`);
      }
    },
    async ended() {
      socket.resume();
      if (!socket.closed) await new Promise((resolve) => socket.once("close", resolve));
    },
    close: () => socket.destroy(),
  });
}

/** Asks one thing that is answered in one line. */
export async function askOnce(layout: Layout, command: string): Promise<Outcome<Answer>> {
  const opened = await openOperator(layout);
  if (opened.kind !== "done") return opened;
  opened.value.ask({ command });
  const answer = await opened.value.next();
  opened.value.close();
  return answer;
}

/** Connects to `queue`, through the control socket. */
export async function openQueue(layout: Layout): Promise<Outcome<Operator>> {
  const opened = await openOperator(layout);
  if (opened.kind !== "done") return opened;
  opened.value.ask({ command: "queue" });
  const greeting = await opened.value.next();
  if (greeting.kind === "done") return opened;
  opened.value.close();
  return temporary("3.0", greeting.text); // it does not run, which will pass
}

function whyNot(layout: Layout, path: string, code: string | undefined): Outcome<Operator> {
  switch (code) {
    case "ENOENT":
    case "ECONNREFUSED": // left by a server that was killed
      return temporary(
        "3.0",
        `postern is not running in ${displayPath(dirname(layout.run))} (no ${displayPath(path)})`,
      );
    case "EACCES":
      return permanent("7.1", `only the user postern runs as, or root, may open ${displayPath(path)}`);
    default:
      return temporary("3.0", `cannot open ${displayPath(path)}: ${code}`);
  }
}

function parseAnswer(line: string): Outcome<Answer> {
  let answer: unknown;
  try {
    answer = JSON.parse(line);
  } catch {}
  if (typeof answer !== "object" || answer === null) return temporary("3.0", "the server's answer is not JSON");
  if ("error" in answer) return permanent("3.0", String(answer.error));
  return done(answer as Answer);
}

async function* readLines(socket: Socket): AsyncGenerator<string, undefined> {
  let kept: Buffer[] = [];
  let keptOctets = 0;
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    let from = 0;
    const octets = chunk as Buffer;
    for (let end = octets.indexOf(0x0a); end >= 0; end = octets.indexOf(0x0a, from)) {
      yield Buffer.concat([...kept, octets.subarray(from, end)]).toString();
      kept = [];
      keptOctets = 0;
      from = end + 1;
    }
    kept.push(octets.subarray(from));
    keptOctets += octets.length - from;
    if (keptOctets > maxLineOctets) throw new Error("a line without an end");
  }
  return undefined;
}
