import { mailboxOf, readMaildir, type Server, until } from "./server.ts";
import { SmtpClient } from "./smtp-client.ts";

/** What became of each message of a load, as its client saw it. */
export interface Ledger {
  /** 250 read: must be there exactly once. */
  readonly acknowledged: Set<number>;
  /** 4xx or 5xx read: must be nowhere. */
  readonly refused: Set<number>;
  /** Final dot sent and no reply read, or one that says it is not known: there once or not at all. */
  readonly doubtful: Set<number>;
}

export interface Load {
  readonly messages: number;
  readonly sessions: number;
  readonly forwardPath: (n: number) => string;
  readonly text?: (n: number) => string;
  /** Called after each message with how many are through; not awaited. */
  readonly progress?: (through: number) => void;
}

const marker = "X-Load:";
export const loadText = (n: number): string => `Subject: load\n${marker} ${n}\n\n${"0123456789abcdef\n".repeat(60)}`;

/** Sends the whole load, one message a connection, going on through every failure, and keeps the ledger. */
export async function sendLoad(port: number, load: Load): Promise<Ledger> {
  const ledger: Ledger = { acknowledged: new Set(), refused: new Set(), doubtful: new Set() };
  let next = 0;
  let through = 0;
  const session = async (): Promise<void> => {
    while (next < load.messages) {
      const n = next++;
      await sendOne(port, load, n, ledger);
      load.progress?.(++through);
    }
  };
  await Promise.all(Array.from({ length: load.sessions }, session));
  return ledger;
}

async function sendOne(port: number, load: Load, n: number, ledger: Ledger): Promise<void> {
  const client = await SmtpClient.open(port).catch(() => undefined);
  if (!client) return void ledger.refused.add(n);
  const text = (load.text ?? loadText)(n);
  const reply = await client.message("load@example.test", [load.forwardPath(n)], text);
  if (reply.startsWith("250")) ledger.acknowledged.add(n);
  else if (reply === "" || reply.includes("may have the message")) ledger.doubtful.add(n);
  else ledger.refused.add(n);
  client.close();
}

/** How often each message number stands in the Maildirs of these local parts. */
export function countDelivered(server: { readonly root: string }, localParts: readonly string[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const localPart of localParts) {
    for (const { text } of readMaildir(mailboxOf(server, localPart))) {
      const n = Number(new RegExp(`^${marker} (\\d+)$`, "m").exec(text)?.[1]);
      counts.set(n, (counts.get(n) ?? 0) + 1);
    }
  }
  return counts;
}

/** Where ledger and Maildirs disagree: one line each, none when every promise was kept. */
export function disagreements(ledger: Ledger, delivered: ReadonlyMap<number, number>): string[] {
  const wrong: string[] = [];
  for (const n of ledger.acknowledged) {
    const copies = delivered.get(n) ?? 0;
    if (copies !== 1) wrong.push(`message ${n} was acknowledged and is there ${copies} times`);
  }
  for (const n of ledger.refused) if (delivered.has(n)) wrong.push(`message ${n} was refused and is there`);
  for (const n of ledger.doubtful) {
    const copies = delivered.get(n) ?? 0;
    if (copies > 1) wrong.push(`message ${n} was never answered and is there ${copies} times`);
  }
  return wrong;
}

/** Resolves when the queue is empty. */
export async function queueEmpty(server: Server, limitMs = 120_000): Promise<void> {
  await until(
    "an empty queue",
    async () => {
      const { code, stdout } = await server.postern(["queue", "count", "--json"]);
      return code === 0 && (JSON.parse(stdout) as { messages: number }).messages === 0;
    },
    limitMs,
  );
}
