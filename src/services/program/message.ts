import type { Settings } from "../../protocol/control/table.ts";
import type { CertificateFiles } from "../tls/certificate.ts";

/**
 * What `supervise` tells a program over the Node channel it was started with. A socket that comes with a message
 * (`peer`, `operator`) belongs to the receiver from then on.
 */
export type FromSupervise =
  | {
      readonly kind: "start";
      readonly settings: Settings;
      /** Descriptors of the listeners bound for this program, by service: { "smtp": [4, 5] }. */
      readonly listeners: Readonly<Record<string, readonly number[]>>;
      /** What else this program is told: folders it may use, how to launch its workers. */
      readonly facts: Readonly<Record<string, unknown>>;
      /** With private keys: only for programs that speak TLS with clients, none for others. */
      readonly certificates: readonly CertificateFiles[];
    }
  /** A fresh connection with a peer program; after a restart of the peer it comes again. */
  | { readonly kind: "peer"; readonly name: string }
  /** The operator's connection, opened through the control socket. */
  | { readonly kind: "operator"; readonly uid: number }
  | {
      readonly kind: "reload";
      readonly settings: Settings;
      readonly certificates: readonly CertificateFiles[];
    }
  | { readonly kind: "stop" };

/** What a program tells `supervise`. */
export type ToSupervise =
  /** The program's code runs, inside its walls, and listens to us: now it may be sent `start`. */
  | { readonly kind: "hello" }
  /** It took up its work. */
  | { readonly kind: "ready" };

/** Exit codes of every program: qmail's. */
export const exitStopped = 0;
export const exitMisconfigured = 100;
export const exitTryAgain = 111;
