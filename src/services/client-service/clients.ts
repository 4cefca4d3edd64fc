/** A connection with a client, as its service sees it. */
export interface Client {
  /** A second has passed. */
  tick(): void;
  /** Ends as soon as nothing is lost by it. */
  stop(): void;
  /** Ends now, with a last word. */
  takeLeave(): void;
}

/** All clients of one process. */
export interface Clients {
  readonly isStopping: boolean;
  /** `begin` gets what is to be called once, when its connection is gone. */
  add(begin: (onGone: () => void) => Client): void;
  tick(): void;
  /** Resolves when every client is gone; after `stopMs` those that are left are sent away, and not waited for. */
  stop(stopMs: number): Promise<void>;
}

export function createClients(): Clients {
  const clients = new Set<Client>();
  let allGone: (() => void) | undefined;
  return {
    get isStopping() {
      return allGone !== undefined;
    },
    add(begin) {
      const client = begin(() => {
        clients.delete(client);
        if (clients.size === 0) allGone?.();
      });
      clients.add(client);
    },
    tick() {
      for (const client of clients) client.tick();
    },
    async stop(stopMs) {
      const { promise, resolve } = Promise.withResolvers<void>();
      allGone = resolve;
      for (const client of clients) client.stop();
      if (clients.size === 0) resolve();
      const deadline = setTimeout(() => {
        for (const client of clients) client.takeLeave();
        setImmediate(resolve);
      }, stopMs);
      await promise;
      clearTimeout(deadline);
    },
  };
}
