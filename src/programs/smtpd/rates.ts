import type { Settings } from "../../protocol/control/table.ts";
import { createMeter } from "../../protocol/limits/meter.ts";
import { clientOf } from "../../protocol/network/network.ts";

/** Who sends: the account, where it has shown one; else its address. */
export interface Sender {
  readonly account: string | undefined;
  readonly address: string;
}

/** Messages and recipients within an hour, for each account and each address. One for all connections of a process. */
export interface Rates {
  /** No further message is taken from it for a while. */
  hasSentEnough(sender: Sender): boolean;
  /** So many recipients, on top of those before, are too many. */
  hasTooMany(sender: Sender, recipients: number): boolean;
  /** A message of its was accepted. */
  count(sender: Sender, recipients: number): void;
  reload(settings: Settings): void;
}

const maxKeys = 50_000;

/** `processes` share the work: each takes its part of what is allowed. */
export function createRates(settings: Settings, processes: number, seconds: () => number): Rates {
  const make = () => ({ messages: createMeter(0, maxKeys), recipients: createMeter(0, maxKeys) });
  const ofAccounts = make();
  const ofAddresses = make();
  const metersOf = ({ account }: Sender) => (account === undefined ? ofAddresses : ofAccounts);
  const keyOf = ({ account, address }: Sender): string => account ?? clientOf(address);
  const reload = (fresh: Settings): void => {
    const share = (perHour: number): number => Math.ceil(perHour / processes);
    ofAccounts.messages.limit(share(fresh.maxmessagesperaccount));
    ofAccounts.recipients.limit(share(fresh.maxrecipientsperaccount));
    ofAddresses.messages.limit(share(fresh.maxmessagesperaddress));
    ofAddresses.recipients.limit(share(fresh.maxrecipientsperaddress));
  };
  reload(settings);
  return {
    hasSentEnough: (sender) => metersOf(sender).messages.exceeds(keyOf(sender), 1, seconds()),
    hasTooMany: (sender, recipients) => metersOf(sender).recipients.exceeds(keyOf(sender), recipients, seconds()),
    count(sender, recipients) {
      metersOf(sender).messages.add(keyOf(sender), 1, seconds());
      metersOf(sender).recipients.add(keyOf(sender), recipients, seconds());
    },
    reload,
  };
}
