import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import * as wire from "../../src/protocol/wire/directory.ts";
import type { Frame } from "../../src/protocol/wire/frame.ts";
import { type Channel, createChannel } from "../../src/services/channel/channel.ts";

/** What it was asked for a login with. */
export interface Begun {
  readonly service: string;
  readonly mechanism: string;
  readonly address: string;
  readonly hasInitial: number;
  readonly bindingType: string;
  readonly binding: Uint8Array;
}

const challengesOf: Readonly<Record<string, readonly string[]>> = {
  LOGIN: ["Username:", "Password:"],
  "SCRAM-SHA-256": ["", "r=nonce,s=c2FsdA==,i=4096"],
};
/** User and password, where they are not PLAIN's. */
const credentials: Readonly<Record<string, (responses: readonly string[]) => readonly string[]>> = {
  LOGIN: (responses) => responses,
  APOP: ([text = ""]) => [text.split(" ")[1] ?? "", text.endsWith(" rightdigest") ? "secret" : ""],
  "SCRAM-SHA-256": ([first = ""]) => [/n=([^,]*)/.exec(first)?.[1] ?? "", "secret"],
};

/**
 * A directory of one account, that says of others what the test wants. Its PLAIN and LOGIN are real; SCRAM is two
 * challenges, and any proof will do.
 */
export class FakeDirectory {
  /** One of the answers of wire/directory.ts; undefined for none at all. */
  recipient: (address: string) => number | undefined = () => wire.exists;
  /** Undefined for no answer at all. */
  sender: (account: string, address: string) => number | undefined = (account, address) =>
    account === address ? 1 : 2;
  /** Undefined for no answer at all. */
  relay: (address: string) => number | undefined = () => 2;
  readonly account = "joe@localhost";
  readonly password = "secret";
  /** The ticket that a login brings. */
  ticketFor: (account: string) => Buffer = () => Buffer.alloc(0);
  /** Recipients it was asked about. */
  readonly asked: string[] = [];
  readonly begun: Begun[] = [];
  cancelled = 0;
  #channel: Channel | undefined;
  #theirs: Socket | undefined;
  /** Responses so far of each login. */
  readonly #logins = new Map<number, { readonly mechanism: string; readonly responses: string[] }>();

  async connect(give: (socket: Socket) => void): Promise<void> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    const ours = connect(address.port, "127.0.0.1");
    const [[theirs]] = (await Promise.all([once(server, "connection"), once(ours, "connect")])) as [[Socket], unknown];
    server.close();
    this.#theirs = theirs;
    this.#channel = createChannel(ours, { onFrame: (frame) => this.#take(frame), onClose: () => {} });
    give(theirs);
  }

  /** Resolves once the other end has noticed. */
  async hangUp(): Promise<void> {
    const noticed = this.#theirs && !this.#theirs.closed ? closed(this.#theirs) : undefined;
    this.#channel?.close();
    await noticed;
  }

  send(frame: Buffer): void {
    this.#channel?.send(frame);
  }

  #take({ type, stream, payload }: Frame): undefined | "broken" {
    switch (type) {
      case wire.askRecipient.type: {
        const address = wire.askRecipient.decode(payload)?.address ?? "";
        this.asked.push(address);
        const answer = this.recipient(address);
        if (answer !== undefined) this.send(wire.recipientAnswer.encode(stream, { answer }));
        return undefined;
      }
      case wire.askSender.type: {
        const fields = wire.askSender.decode(payload);
        if (!fields) return "broken";
        const answer = this.sender(fields.account, fields.address);
        if (answer !== undefined) this.send(wire.senderAnswer.encode(stream, { answer }));
        return undefined;
      }
      case wire.askRelay.type: {
        const answer = this.relay(wire.askRelay.decode(payload)?.address ?? "");
        if (answer !== undefined) this.send(wire.relayAnswer.encode(stream, { answer }));
        return undefined;
      }
      case wire.saslBegin.type: {
        const fields = wire.saslBegin.decode(payload);
        if (!fields || this.#logins.has(stream)) return "broken";
        this.begun.push(fields);
        const initial = Buffer.from(fields.initial).toString("latin1");
        const login = { mechanism: fields.mechanism, responses: fields.hasInitial ? [initial] : [] };
        this.#logins.set(stream, login);
        this.#goOn(stream, login);
        return undefined;
      }
      case wire.saslResponse.type: {
        const login = this.#logins.get(stream);
        const fields = wire.saslResponse.decode(payload);
        if (!fields || !login) return "broken";
        login.responses.push(Buffer.from(fields.octets).toString("latin1"));
        this.#goOn(stream, login);
        return undefined;
      }
      case wire.saslCancel.type:
        this.cancelled++;
        this.#logins.delete(stream);
        return undefined;
      default:
        return "broken";
    }
  }

  #goOn(stream: number, { mechanism, responses }: { mechanism: string; responses: string[] }): void {
    const challenges = challengesOf[mechanism] ?? [""];
    const challenge = challenges[responses.length];
    if (challenge !== undefined) {
      this.send(wire.saslChallenge.encode(stream, { octets: Buffer.from(challenge) }));
      return;
    }
    const [user, password, ...more] = credentials[mechanism]?.(responses) ?? (responses[0] ?? "").split("\0").slice(1);
    const isRight = user === this.account && password === this.password && more.length === 0;
    this.#logins.delete(stream);
    this.send(
      wire.saslEnd.encode(stream, {
        letter: user === "later" ? "Z" : isRight ? "K" : "D",
        account: isRight ? this.account : "",
        text: isRight ? "" : "wrong user or password",
        additional: Buffer.from(isRight && mechanism.startsWith("SCRAM") ? "v=ok" : ""),
        ticket: isRight ? this.ticketFor(this.account) : Buffer.alloc(0),
      }),
    );
  }
}

/** Also after a reset, which is an error before it is a close. */
const closed = (socket: Socket): Promise<void> => new Promise((resolve) => socket.once("close", () => resolve()));
