import type { Buffer } from "node:buffer";

export interface Reply {
  readonly code: number;
  /** All its lines. */
  readonly text: string;
}

const maxLines = 100;

/** The replies in what a peer says, in whatever pieces; "broken" where it is no reply. Not the way the client reads them. */
export class ReplyLines {
  #text = "";

  read(octets: Buffer): (Reply | "broken")[] {
    this.#text += octets.toString("latin1");
    const found: (Reply | "broken")[] = [];
    for (;;) {
      const reply = /^(?:([2-5][0-9][0-9])-[^\n]*\n(?:\1-[^\n]*\n)*\1|([2-5][0-9][0-9]))(?: [^\n]*)?\n/.exec(
        this.#text,
      );
      if (!reply) break;
      const [text, first, only] = reply;
      this.#text = this.#text.slice(text.length);
      found.push(text.split("\n").length > maxLines + 1 ? "broken" : { code: Number(first ?? only), text });
    }
    const lines = this.#text.split("\n").slice(0, -1);
    const isSound = lines.length <= maxLines && lines.every((line) => /^[2-5][0-9][0-9]-/.test(line));
    return isSound ? found : [...found, "broken"];
  }
}
