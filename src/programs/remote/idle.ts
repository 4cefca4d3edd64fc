import type { Connection, Target } from "./connection.ts";

const maxTransactions = 100;
const maxConnections = 200;

/** Connections that have delivered and may deliver more, by address and port. They close themselves when it takes too long. */
export class IdleConnections {
  readonly #byTarget = new Map<string, Connection[]>();
  #count = 0;

  /** One to this target, the one used last; it is no longer kept. */
  take(target: Target): Connection | undefined {
    const connection = this.#byTarget.get(keyOf(target))?.at(-1);
    if (connection) this.#forget(connection);
    return connection;
  }

  /** Keeps it, or closes it when it has done its share or there are enough. */
  put(connection: Connection): void {
    if (connection.transactions >= maxTransactions || this.#count >= maxConnections) {
      connection.close();
      return;
    }
    const key = keyOf(connection.target);
    const same = this.#byTarget.get(key);
    if (same) same.push(connection);
    else this.#byTarget.set(key, [connection]);
    this.#count++;
    connection.onClosed = () => this.#forget(connection);
    connection.rest();
  }

  close(): void {
    for (const same of [...this.#byTarget.values()]) for (const connection of [...same]) connection.close();
  }

  #forget(connection: Connection): void {
    connection.onClosed = () => {};
    const key = keyOf(connection.target);
    const same = this.#byTarget.get(key) ?? [];
    const at = same.indexOf(connection);
    if (at < 0) return;
    same.splice(at, 1);
    this.#count--;
    if (same.length === 0) this.#byTarget.delete(key);
  }
}

const keyOf = ({ address, port }: Target): string => `${address} ${port}`;
