import { isEnvelopeAddress } from "../../protocol/address.ts";
import {
  allFlags,
  type dsnRecipients,
  notifyDelay,
  notifyFailure,
  notifyNever,
  notifySuccess,
  type Options,
} from "../../protocol/wire/submission.ts";
import type { Dsn } from "../../services/storage/storage.ts";

const maxRet = 2;
const maxPriority = 18;

/** Whether a client can have asked for this. Texts are bounded as addresses are. */
export const isPossible = ({ envelopeId, ret, flags, priority }: Options): boolean =>
  isEnvelopeAddress(envelopeId) && ret <= maxRet && flags <= allFlags && priority <= maxPriority;

/** What was asked for each recipient, `undefined` for nothing; `undefined` when no client can have asked for it. */
export function readDsns({
  forwardPaths,
  notify,
  originalRecipients,
}: NonNullable<ReturnType<typeof dsnRecipients.decode>>): readonly (Dsn | undefined)[] | undefined {
  if (notify.length !== forwardPaths.length || originalRecipients.length !== forwardPaths.length) return undefined;
  const possible = notify.every((sum) => sum === notifyNever || sum <= (notifySuccess | notifyFailure | notifyDelay));
  if (!possible || !originalRecipients.every(isEnvelopeAddress)) return undefined;
  return notify.map((sum, place) => {
    const originalRecipient = originalRecipients[place] ?? "";
    return sum === 0 && originalRecipient === "" ? undefined : { notify: sum, originalRecipient };
  });
}
