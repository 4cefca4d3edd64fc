/** What asked for TLS, as reports name it (RFC 8460 §4.3.1). */
export type TlsPolicyKind = "tlsa" | "sts" | "no-policy-found";

/** How a delivery ended: qmail's K, Z and D. */
export type Result = "success" | "deferral" | "failure";

/**
 * All that is worth telling, from every program. One form, rendered as qmail-send's lines or as JSON; nothing logs by
 * hand-made strings. Text from outside is kept as it came: the renderer makes it harmless.
 */
export type Event =
  | { readonly event: "new"; readonly message: number }
  | {
      readonly event: "info";
      readonly message: number;
      readonly octets: number;
      readonly reversePath: string;
      readonly uid: number;
    }
  | {
      readonly event: "starting";
      readonly delivery: number;
      readonly message: number;
      readonly channel: "local" | "remote";
      readonly recipient: string;
    }
  | { readonly event: "delivery"; readonly delivery: number; readonly result: Result; readonly text: string }
  | {
      readonly event: "status";
      readonly local: number;
      readonly localLimit: number;
      readonly remote: number;
      readonly remoteLimit: number;
      readonly exiting: boolean;
    }
  | { readonly event: "bounce"; readonly message: number; readonly bounce: number }
  /** Of delivery or delay, to who asked for it (RFC 3461): "delivered", "relayed", "expanded" or "delayed". */
  | { readonly event: "report"; readonly message: number; readonly report: number; readonly action: string }
  | { readonly event: "triple bounce"; readonly message: number }
  | { readonly event: "end"; readonly message: number }
  | { readonly event: "operator"; readonly action: string; readonly count: number; readonly uid: number }
  | {
      readonly event: "connection";
      readonly connection: number;
      readonly address: string;
      readonly port: number;
      readonly service: string;
    }
  | { readonly event: "tls"; readonly connection: number; readonly protocol: string; readonly cipher: string }
  | {
      readonly event: "authenticated";
      readonly connection: number;
      readonly account: string;
      readonly mechanism: string;
    }
  /** A client that could not may send to anywhere after all. */
  | { readonly event: "relaying"; readonly connection: number; readonly address: string; readonly why: string }
  | { readonly event: "mailbox"; readonly connection: number; readonly account: string }
  | { readonly event: "tls failure"; readonly connection: number; readonly address: string; readonly why: string }
  | { readonly event: "accepted"; readonly connection: number; readonly message: number; readonly recipients: number }
  | {
      readonly event: "refusal";
      readonly connection: number;
      readonly address: string;
      readonly command: string;
      readonly reply: string;
    }
  | { readonly event: "disconnection"; readonly connection: number; readonly why: string; readonly messages: number }
  | {
      readonly event: "login";
      readonly service: string;
      readonly mechanism: string;
      readonly account: string;
      readonly address: string;
      /** The name of the app password that was used; "" for the account's own. */
      readonly appPassword: string;
    }
  | {
      readonly event: "login failure";
      readonly service: string;
      readonly mechanism: string;
      /** As the client gave it; "" where it did not get that far. */
      readonly account: string;
      readonly address: string;
      readonly why: string;
    }
  | { readonly event: "started"; readonly pid: number }
  | { readonly event: "stopped"; readonly pid: number }
  | {
      readonly event: "died";
      readonly name: string;
      readonly pid: number;
      readonly why: string;
      readonly againInMs: number;
    }
  /** How often TLS with a domain's servers ended so, since the last time this was said. */
  | {
      readonly event: "tls results";
      readonly domain: string;
      readonly policy: string;
      readonly result: string;
      readonly count: number;
    }
  | { readonly event: "reloaded" }
  | { readonly event: "warning"; readonly text: string }
  | { readonly event: "alert"; readonly text: string };

/** An event as it is kept: when, and from which program. */
export type Logged = Event & { readonly timeMs: number; readonly program: string };
