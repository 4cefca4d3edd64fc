import { channelNumber } from "./sqlite-apply.ts";
import { rowOf, rowsOf, type Statements } from "./sqlite-schema.ts";
import { type DsnRow, dsnOf } from "./sqlite-wishes.ts";
import { type ChannelName, type Claim, type ClaimedRecipient, type Overdue, skipMs } from "./storage.ts";

interface DueRow extends DsnRow {
  readonly message: number;
  readonly number: number;
  readonly forwardPath: string;
  readonly destination: string;
  readonly arrived: number;
  readonly attempts: number;
}

/** Destinations looked at in one claim. */
const maxDestinations = 100;

/** Takes what is due, destination after destination; one that has more comes after the others next time. */
export function claimDue(s: Statements, claim: Claim): readonly ClaimedRecipient[] {
  const { channel, nowMs } = claim;
  const channelAs = channelNumber(channel);
  for (const name of claim.skip) s.postpone.run(channelAs, name, nowMs + skipMs);
  const claimed: ClaimedRecipient[] = [];
  for (const { name } of rowsOf<{ name: string }>(s.dueDestinations, channelAs, nowMs, maxDestinations)) {
    const wanted = Math.min(claim.perDestination, claim.limit - claimed.length);
    if (wanted <= 0) break;
    take(s, claimed, channel, rowsOf<DueRow>(s.dueRecipients, channelAs, name, nowMs, wanted));
    const due = rowOf<{ due: number | null }>(s.firstDue, channelAs, name)?.due ?? undefined;
    if (due === undefined) s.dropDestination.run(channelAs, name);
    else s.setDestination.run(channelAs, name, Math.max(due, nowMs));
  }
  return claimed;
}

export function claimOverdue(s: Statements, overdue: Overdue): readonly ClaimedRecipient[] {
  const { channel, destination, nowMs, arrivedBeforeMs, limit } = overdue;
  const claimed: ClaimedRecipient[] = [];
  const values = [channelNumber(channel), destination, nowMs, arrivedBeforeMs, limit];
  take(s, claimed, channel, rowsOf<DueRow>(s.overdueRecipients, ...values));
  return claimed;
}

function take(s: Statements, claimed: ClaimedRecipient[], channel: ChannelName, rows: readonly DueRow[]): void {
  for (const row of rows) {
    const { message, number, forwardPath, destination, arrived, attempts } = row;
    s.claim.run(message, number);
    claimed.push({ message, number, forwardPath, channel, destination, arrivedMs: arrived, attempts, ...dsnOf(row) });
  }
}
