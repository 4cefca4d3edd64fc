import { setTimeout as sleep } from "node:timers/promises";
import type { Settings } from "../../protocol/control/table.ts";
import { createNetworks, type Networks } from "../../protocol/network/network.ts";
import { done, permanent } from "../../protocol/outcome.ts";
import { createRouter, domainOf, localDomains } from "../../protocol/routing/router.ts";
import { runProgram } from "../../services/program/program.ts";
import { createAccounts } from "./accounts.ts";
import { createGuesses, type GuessLimits } from "./guesses.ts";
import { createLocalLink } from "./local-link.ts";
import { createLogins } from "./logins.ts";
import { createReaders } from "./readers.ts";
import { createRecipients } from "./recipients.ts";
import { maySendAs } from "./senders.ts";
import { serveClient } from "./serve.ts";

runProgram("directory", async (given) => {
  const { folder } = given.facts;
  if (typeof folder !== "string") return permanent("3.5", "not told where to work");
  let { settings } = given;
  let router = createRouter(settings);
  const local = createLocalLink();
  const accounts = await createAccounts(folder, given.log, (account, password) =>
    settings.checkpassword === "" ? undefined : local.checkPassword(account, password),
  );
  const recipients = createRecipients({
    route: (address) => router.route(address),
    ask: local.ask,
    nowMs: () => performance.now(),
  });
  const guesses = createGuesses(guessLimits(settings), () => performance.now());
  const readers = createReaders(windowMs(settings), () => performance.now());
  let proxies = proxiesOf(settings);
  const logins = createLogins({
    passwords: () => accounts.passwords,
    guesses,
    host: () => settings.me,
    keepsPasswords: () => settings.keeppasswords === 1,
    grant: (ticket, account) => local.grant(ticket, mailboxOf(account)),
    reads: (address) => {
      if (!proxies.has(address)) readers.note(address);
    },
    note: accounts.note,
    log: given.log,
    wait: sleep,
  });
  /**
   * Where mail for the account would go here, as `local` is asked; "", nobody's, when it goes elsewhere: a namesake's
   * mailbox is not its own. A user of the system is known by the bare name.
   */
  const mailboxOf = (account: string): string => {
    const { channel, address } = router.route(account.includes("@") ? account : `${account}@${settings.me}`);
    return channel === "local" ? address : "";
  };
  const senders = {
    store: () => accounts.store,
    delimiters: () => settings.extensiondelimiters,
    hasMailbox: async (address: string) => (await local.askPlace(address)).answer,
    isLocal: (domain: string) => localDomains(settings).get(domainOf(`@${domain}`)) === "locals",
  };
  return done({
    peer(name, socket) {
      if (name === "local") local.attach(socket);
      else {
        const askSender = (account: string, address: string) => maySendAs(account, address, senders);
        const desk = { askRecipient: recipients.ask, askSender, logins };
        const askPlace = (account: string) => local.askPlace(mailboxOf(account));
        if (name === "authd") serveClient(socket, { ...desk, askPlace });
        else if (name === "smtpd") serveClient(socket, { ...desk, mayRelay: readers.mayRelay });
        else serveClient(socket, desk);
      }
    },
    reload(fresh) {
      settings = fresh;
      router = createRouter(fresh);
      recipients.forget();
      guesses.limit(guessLimits(fresh));
      readers.limit(windowMs(fresh));
      proxies = proxiesOf(fresh);
      void accounts.open();
    },
    async stop() {
      accounts.close();
    },
  });
});

const guessLimits = (settings: Settings): GuessLimits => ({
  perAddress: settings.loginfailuresperaddress,
  perNetwork: settings.loginfailurespernetwork,
  perAccount: settings.loginfailuresperaccount,
});

const windowMs = ({ popbeforesmtp }: Settings): number => popbeforesmtp * 60_000;

/** Behind them are many clients, of whom we know nothing. What cannot be read stops `smtpd`, which trusts them. */
function proxiesOf({ proxyclients }: Settings): Pick<Networks, "has"> {
  const proxies = createNetworks(proxyclients);
  return proxies.kind === "done" ? proxies.value : { has: () => true };
}
