import { Talk } from "../dialogues/talk.ts";
import { until } from "../support/server.ts";

export interface Fetching {
  /** Looks once more, until nothing is left; the texts of the messages it has fetched and deleted. */
  end(): Promise<readonly string[]>;
}

/**
 * A client of POP3 behind TLS that fetches what is there and deletes it, again and again. A message is its own when the server has
 * said that it is deleted, or does not list it any more. What comes after that is another copy.
 */
export function startFetching(port: number, login: readonly [user: string, password: string]): Fetching {
  const taken: string[] = [];
  const fetched = new Map<string, string>();
  let isOver = false;

  /** Whether a whole session found nothing. It ends early when the server does. */
  const session = async (): Promise<boolean> => {
    const talk = await Talk.open(port);
    try {
      await talk.secure();
      const ask = async (command: string): Promise<string | undefined> => {
        talk.send(`${command}\r\n`);
        return await talk.line(longestMs);
      };
      await talk.line(longestMs);
      await ask(`USER ${login[0]}`);
      if (!isGood(await ask(`PASS ${login[1]}`)) || !isGood(await ask("UIDL"))) return false;
      const listed = await lines(talk);
      if (!listed) return false;
      const uids = listed.map((line) => line.split(" ")[1] ?? "");
      take((uid) => !uids.includes(uid));
      for (const [at, uid] of uids.entries()) {
        if (!isGood(await ask(`RETR ${at + 1}`))) return false;
        const text = await lines(talk);
        if (!text) return false;
        fetched.set(uid, text.map((line) => `${line.replace(/^\./, "")}\n`).join(""));
        if (!isGood(await ask(`DELE ${at + 1}`))) return false;
      }
      if (isGood(await ask("QUIT"))) take(() => true);
      return uids.length === 0;
    } finally {
      talk.close();
    }
  };
  const take = (isGone: (uid: string) => boolean): void => {
    for (const [uid, text] of fetched) {
      if (!isGone(uid)) continue;
      taken.push(text);
      fetched.delete(uid);
    }
  };
  const work = async (): Promise<void> => {
    while (!isOver) {
      await session().catch(() => false);
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  };
  const working = work();
  return {
    async end() {
      isOver = true;
      await working;
      await until("all mail to be fetched", () => session().catch(() => false));
      return taken;
    },
  };
}

const longestMs = 60_000;
const everyMs = 100;

const isGood = (line: string | undefined): boolean => line?.startsWith("+OK") ?? false;

/** The lines of an answer up to its dot; undefined when it was cut short. */
async function lines(talk: Talk): Promise<string[] | undefined> {
  for (const found: string[] = []; ; ) {
    const line = await talk.line(longestMs);
    if (line === undefined) return undefined;
    if (line === ".") return found;
    found.push(line);
  }
}
