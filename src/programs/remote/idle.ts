import { type Connection, type Target, targetKey } from "./connection.ts";

const maxConnections = 200;

/** Connections that have delivered and may deliver more, by their targets. They close themselves when it takes too long. */
export class IdleConnections {
  readonly #byTarget = new Map<string, Connection[]>();
  #count = 0;

  /** One to this target that takes mail for `domain`, the one used last; it is no longer kept. */
  take(target: Target, domain: string): Connection | undefined {
    const connection = this.#byTarget.get(targetKey(target))?.findLast((kept) => kept.takes(domain));
    if (connection) this.#forget(connection);
    return connection;
  }

  /** Keeps it, or closes it when it has done its share or there are enough. */
  put(connection: Connection): void {
    if (connection.isSpent || this.#count >= maxConnections) {
      connection.close();
      return;
    }
    const { key } = connection;
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
    const { key } = connection;
    const same = this.#byTarget.get(key) ?? [];
    const at = same.indexOf(connection);
    if (at < 0) return;
    same.splice(at, 1);
    this.#count--;
    if (same.length === 0) this.#byTarget.delete(key);
  }
}
