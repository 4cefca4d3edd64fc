import type { Event, TlsPolicyKind } from "../../protocol/event/event.ts";
import type { TlsFaultKind } from "../../protocol/tls-policy/demand.ts";

const maxKept = 5_000;

/** How TLS went, added up by domain, by what asked for it and by result, as reports want it (RFC 8460 §4.3). */
export class TlsResults {
  readonly #counts = new Map<string, number>();
  #lost = 0;

  note(domain: string, policy: TlsPolicyKind, result: "success" | TlsFaultKind): void {
    const key = `${domain} ${policy} ${result}`;
    const count = this.#counts.get(key);
    if (count === undefined && this.#counts.size >= maxKept) this.#lost++;
    else this.#counts.set(key, (count ?? 0) + 1);
  }

  /** All totals since the last time, as events. */
  take(): readonly Event[] {
    const events = [...this.#counts].map(([key, count]): Event => {
      const [domain = "", policy = "", result = ""] = key.split(" ");
      return { event: "tls results", domain, policy, result, count };
    });
    if (this.#lost > 0) events.push({ event: "warning", text: `${this.#lost} more results of TLS were not counted` });
    this.#counts.clear();
    this.#lost = 0;
    return events;
  }
}
