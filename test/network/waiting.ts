import { mailboxOf, readMaildir, runPostern, type Server, until } from "../support/server.ts";

export const sender = "sender@localhost";

/** Hands a message in as a user of the machine does, so that it needs no network. */
export async function handIn(
  server: Server,
  forwardPaths: readonly string[],
  text = "Subject: out\n\nbody\n",
): Promise<void> {
  const { code, stderr } = await runPostern(["sendmail", "--root", server.root, "-f", sender, ...forwardPaths], text);
  if (code !== 0) throw new Error(stderr);
}

export interface Waiting {
  readonly forwardPath: string;
  readonly attempts: number;
  readonly lastReply: string;
}

/** Every recipient that is still in the queue. */
export async function waiting(server: Server): Promise<Waiting[]> {
  const { stdout } = await server.postern(["queue", "list", "--limit", "1000", "--json"]);
  const messages = stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { recipients: Waiting[] });
  return messages.flatMap(({ recipients }) => recipients);
}

/** Resolves when each of these was tried in vain, and waits. */
export async function deferred(server: Server, forwardPaths: readonly string[]): Promise<Waiting[]> {
  let tried: Waiting[] = [];
  await until(`deferrals of ${forwardPaths.join(", ")}`, async () => {
    tried = (await waiting(server)).filter(({ attempts }) => attempts > 0);
    return forwardPaths.every((path) => tried.some(({ forwardPath }) => forwardPath === path));
  });
  return tried;
}

/** What came back to the sender. */
export const bounces = (server: Server): string[] => readMaildir(mailboxOf(server, "sender")).map(({ text }) => text);
