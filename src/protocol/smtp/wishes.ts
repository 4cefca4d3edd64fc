import { flagRequireTls, noOptions, type Options } from "../wire/submission.ts";
import { binaryMime, type MailParameters, unknownParameterReply } from "./parameters.ts";

/** What a client may ask for at MAIL beside the envelope. */
export interface WishRules {
  /** Whether STARTTLS may be asked for now. */
  readonly tls: "none" | "offered" | "on";
  /** This client may send to anywhere. */
  readonly mayRelay: boolean;
  readonly maxRecipients: number;
  /** For mail programs (RFC 4865); 0: not offered. */
  readonly maxHoldSeconds: number;
  /** Of MT-PRIORITY (RFC 6710), -9 to 9: who asks for more gets this. */
  readonly maxPriority: number;
  /** Whoever takes the messages knows of text and envelope alone: nothing else may be asked for. */
  readonly isPlain?: boolean;
}

/** Their lines in the reply to EHLO. */
export const wishKeywords = (rules: WishRules, nowMs: number): readonly string[] => [
  ...(rules.isPlain ? [] : ["SMTPUTF8", "DSN", "CHUNKING", "BINARYMIME", ...trustedKeywords(rules, nowMs)]),
  `LIMITS RCPTMAX=${rules.maxRecipients}`, // RFC 9422: of what has a limit
];

const trustedKeywords = (rules: WishRules, nowMs: number): readonly string[] => [
  ...(rules.tls === "on" ? ["REQUIRETLS"] : []),
  ...(rules.mayRelay ? ["MT-PRIORITY"] : []),
  ...(rules.mayRelay && rules.maxHoldSeconds > 0
    ? [`FUTURERELEASE ${rules.maxHoldSeconds} ${dateTime(nowMs + 1_000 * rules.maxHoldSeconds)}`]
    : []),
];

const dateTime = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/** What it gets, with the reply to MAIL if that is to tell; or the refusal. */
export type Granted = { readonly options: Options | undefined; readonly reply?: string } | { readonly refusal: string };

/** Judges what was asked at `nowMs`, milliseconds since 1970. REQUIRETLS (RFC 8689 §2) is for those who came by TLS. */
export function grantWishes(command: MailParameters, rules: WishRules, nowMs: number): Granted {
  const { options, hold, bodyKind } = command;
  if (rules.isPlain && (options || bodyKind === binaryMime)) return { refusal: unknownParameterReply };
  if (!options) return { options };
  const asksPriority = options.priority !== noOptions.priority;
  if ((options.flags & flagRequireTls) !== 0 && rules.tls !== "on") return { refusal: unknownParameterReply };
  if ((hold || asksPriority) && !rules.mayRelay) return { refusal: unknownParameterReply };
  const holdUntilMs = holdUntil(hold, nowMs);
  if (hold && rules.maxHoldSeconds === 0) return { refusal: unknownParameterReply };
  if (holdUntilMs > nowMs + 1_000 * rules.maxHoldSeconds) {
    return { refusal: `501 5.5.4 no message is held for more than ${rules.maxHoldSeconds} seconds` };
  }
  const priority = Math.min(options.priority, rules.maxPriority + noOptions.priority);
  const granted = { ...options, holdUntilMs, priority };
  if (priority === options.priority) return { options: granted };
  return { options: granted, reply: `250 2.3.6 the highest priority here is ${rules.maxPriority}` };
}

function holdUntil(hold: MailParameters["hold"], nowMs: number): number {
  if (!hold) return 0;
  return "untilMs" in hold ? hold.untilMs : nowMs + 1_000 * hold.forSeconds;
}
