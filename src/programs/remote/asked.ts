import type { Asked } from "../../protocol/smtp/transaction.ts";
import type { deliverOptions } from "../../protocol/wire/delivery.ts";
import {
  flagRequireTls,
  flagTlsOptional,
  flagUtf8,
  notifyDelay,
  notifyFailure,
  notifyNever,
  notifySuccess,
} from "../../protocol/wire/submission.ts";

type OptionFields = NonNullable<ReturnType<typeof deliverOptions.decode>>;

const rets = ["", "FULL", "HDRS"] as const;
/** RFC 3461 §4.2, §4.4. */
const maxEnvelopeIdOctets = 100;
const maxOriginalRecipientOctets = 500;
const middlePriority = 9;

/** What `queue` says was asked for, as commands say it. What could not stand in a command is left out. */
export function askedOf({ envelopeId, ret, flags, priority, notify, originalRecipients }: OptionFields): Asked {
  return {
    envelopeId: word(envelopeId, maxEnvelopeIdOctets),
    ret: rets[ret] ?? "",
    notify: notify.map(notifyWords),
    originalRecipients: originalRecipients.map((text) => word(text, maxOriginalRecipientOctets)),
    utf8: (flags & flagUtf8) !== 0,
    requireTls: (flags & flagRequireTls) !== 0,
    tlsOptional: (flags & flagTlsOptional) !== 0,
    priority: priority <= 2 * middlePriority ? priority - middlePriority : 0,
  };
}

const word = (text: string, maxOctets: number): string =>
  text.length <= maxOctets && /^[!-~]*$/.test(text) ? text : "";

function notifyWords(notify: number): string {
  if ((notify & notifyNever) !== 0) return "NEVER";
  const words = [
    (notify & notifySuccess) !== 0 && "SUCCESS",
    (notify & notifyFailure) !== 0 && "FAILURE",
    (notify & notifyDelay) !== 0 && "DELAY",
  ];
  return words.filter((each) => each !== false).join(",");
}
