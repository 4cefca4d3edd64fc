import { enhancedCode, type Outcome, permanent } from "../../protocol/outcome.ts";
import { maxCommandOctets, parseCommand } from "../../protocol/smtp/command.ts";
import { createDataDecoder } from "../../protocol/smtp/data.ts";
import { endOfData, newSession, type Rules, type Session, step, tooBig } from "../../protocol/smtp/session.ts";

export interface Serving {
  readonly input: AsyncIterable<Buffer>;
  /** Resolves when the client has room for more. */
  readonly say: (text: string) => Promise<void>;
  readonly rules: Rules;
  handIn(message: Buffer, reversePath: string, forwardPaths: readonly string[]): Promise<Outcome<string>>;
}

const LF = 10;
const strayLineEnd = "550 5.6.11 lines end in CR LF and in nothing else";

interface Body {
  readonly decode: ReturnType<typeof createDataDecoder>;
  readonly pieces: Buffer[];
  octets: number;
}

/**
 * Speaks SMTP (RFC 5321) with the one client on standard input, as smtpd would. Resolves at QUIT, at the end of input,
 * or at what cannot be read in one way only. Keeps one message of at most `rules.maxMessageOctets` in memory.
 */
export async function serveSmtp({ input, say, rules, handIn }: Serving): Promise<void> {
  const plain: Rules = { ...rules, isPlain: true }; // QMQP has room for no more
  let session: Session = newSession;
  let body: Body | undefined;
  let kept: Buffer = Buffer.alloc(0);

  /** Takes a line out of `kept`; `undefined` while there is none. */
  const command = async (): Promise<"more" | "end" | undefined> => {
    const lineFeed = kept.indexOf(LF);
    if (lineFeed < 0 && kept.length <= maxCommandOctets) return undefined;
    const line = kept.toString("latin1", 0, lineFeed + 1);
    kept = kept.subarray(lineFeed + 1);
    if (lineFeed < 0 || !line.endsWith("\r\n") || line.indexOf("\r") !== line.length - 2) {
      await say(`${strayLineEnd}\r\n`);
      return "end";
    }
    const { next, reply } = step(session, parseCommand(line.slice(0, -2)), plain, Date.now());
    session = next;
    if (session.at === "data") body = { decode: createDataDecoder(), pieces: [], octets: 0 };
    await say(`${reply}\r\n`);
    return session.at === "quit" || session.at === "lost" ? "end" : "more";
  };

  const data = async (into: Body): Promise<"more" | "end" | undefined> => {
    const progress = into.decode(kept);
    if (progress.kind === "broken") {
      await say(`${progress.why === "NUL" ? "550 5.6.0 NUL in the message" : strayLineEnd}\r\n`);
      return "end";
    }
    kept = progress.kind === "end" ? progress.rest : kept.subarray(kept.length);
    into.octets += progress.body.length;
    if (into.octets <= rules.maxMessageOctets) into.pieces.push(progress.body);
    else into.pieces.length = 0;
    if (progress.kind === "more" || session.at !== "data") return undefined;
    const { reversePath, forwardPaths } = session.transaction;
    const outcome =
      into.octets > rules.maxMessageOctets
        ? permanent("3.4", tooBig)
        : await handIn(Buffer.concat(into.pieces), reversePath, forwardPaths);
    session = endOfData(session);
    body = undefined;
    await say(`${replyTo(outcome)}\r\n`);
    return "more";
  };

  await say(`220 ${rules.greeting} ESMTP\r\n`);
  for await (const chunk of input) {
    kept = kept.length === 0 ? chunk : Buffer.concat([kept, chunk]);
    for (let done: "more" | "end" | undefined = "more"; done === "more" && kept.length > 0; ) {
      done = body ? await data(body) : await command();
      if (done === "end") return;
    }
  }
}

function replyTo(outcome: Outcome<string>): string {
  if (outcome.kind === "done") return `250 2.0.0 ${outcome.value}`;
  const code = outcome.kind === "temporary" ? 451 : outcome.status === "3.4" ? 552 : 554;
  return `${code} ${enhancedCode(outcome)} ${outcome.text.replace(/[^ -~]/g, "?")}`;
}
