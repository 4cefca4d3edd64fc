import { randomUUID } from "node:crypto";
import { isEnvelopeAddress, quoteAddress } from "../../protocol/address.ts";
import { formatDate } from "../../protocol/date.ts";
import { readAuthors, readSender } from "../../protocol/header/authors.ts";
import { createSubmittedHeader, type LastField, type SubmittedHeader } from "../../protocol/header/submitted.ts";
import { done, type Failure, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { isOwnAddress } from "../../protocol/users/account-names.ts";
import { isAscii } from "../../protocol/utf8.ts";
import { cannotTell } from "../../protocol/wire/directory.ts";
import type { Forget } from "../../services/channel/streams.ts";
import type { DirectoryClient } from "../../services/directory-client/directory-client.ts";
import { type HeaderWork, printable } from "./intake.ts";

/** What is done with mail of those who logged in. */
export interface SubmissionTerms {
  /** The host of a Message-ID we make. */
  readonly idhost: string;
  /** Date, From and Message-ID are added where they are missing (RFC 6409 §8). */
  readonly completes: boolean;
  /** From may hold only what the account may send as. */
  readonly checksFrom: boolean;
  /** Received does not tell where it comes from. */
  readonly hidesClient: boolean;
}

export interface SubmittedMessage {
  readonly account: string;
  /** It may send as this. */
  readonly reversePath: string;
  readonly lineEnd: "\n" | "\r\n";
  /** The host of an account that has none. */
  readonly me: string;
  readonly directory: DirectoryClient;
  readonly nowMs: number;
}

type Tell = (failure: Failure | undefined) => void;

export const cannotTellAuthors = temporary("3.0", "cannot tell whether its From address is yours, try again later");
const bareCr = permanent("6.11", "a CR stands alone in the header");
const yes = 1;

/** `undefined` when nothing is to be done. */
export function createHeaderWork(terms: SubmissionTerms, message: SubmittedMessage): HeaderWork | undefined {
  const { completes, checksFrom, idhost } = terms;
  if (!completes && !checksFrom) return undefined;
  const { account, me, lineEnd, nowMs } = message;
  const author = account.includes("@") ? account : `${account}@${me}`;
  // One in UTF-8 would make a message of another kind (RFC 6532): its program knows what it does.
  const written = isAscii(author) && isEnvelopeAddress(author) ? quoteAddress(author) : undefined;
  const wanted = {
    date: `Date: ${formatDate(nowMs)}${lineEnd}`,
    ...(written !== undefined && { from: `From: ${written}${lineEnd}` }),
    "message-id": `Message-ID: <${randomUUID()}@${idhost}>${lineEnd}`,
  };
  // Of several authors one must be named as who sent it (RFC 5322 §3.6.2, RFC 6409 §8.1).
  const addSender: LastField = (from, sender) => {
    const authors = readAuthors(from);
    const isMissing = sender.fields === 0 && authors.kind === "done" && authors.value.length > 1;
    return isMissing && written !== undefined ? `Sender: ${written}${lineEnd}` : "";
  };
  return {
    header: completes ? createSubmittedHeader(wanted, lineEnd, addSender) : createSubmittedHeader({}, lineEnd),
    judge(header, tell) {
      if (checksFrom) return judgeAuthors(message, header, tell);
      tell(undefined);
      return () => {};
    },
  };
}

function judgeAuthors(message: SubmittedMessage, header: SubmittedHeader, tell: Tell): Forget {
  const { directory, account, reversePath } = message;
  const named = header.hasBareCr ? bareCr : namedIn(header);
  if (named.kind === "done") {
    // MAIL was asked about.
    const others = named.value.filter((address) => address !== reversePath && !isOwnAddress(account, address));
    return askAuthors(directory, account, others, tell);
  }
  tell(named);
  return () => {};
}

/** Everybody a reader could take for who sent the message: From and Sender. */
function namedIn({ authorship, sender }: SubmittedHeader): Outcome<readonly string[]> {
  const authors = authorship ? readAuthors(authorship) : done([]);
  const senders = sender ? readSender(sender) : done([]);
  if (authors.kind !== "done" || senders.kind !== "done") return authors.kind !== "done" ? authors : senders;
  return done([...new Set([...authors.value, ...senders.value])]);
}

/** May `account` send as all of them? Asks about one after the other. */
function askAuthors(directory: DirectoryClient, account: string, addresses: readonly string[], tell: Tell): Forget {
  let forget: Forget = () => {};
  const ask = ([address, ...rest]: readonly string[]) => {
    if (address === undefined) return tell(undefined);
    forget = directory.askSender(account, address, (answer) => {
      if (answer === yes) return ask(rest);
      tell(answer === cannotTell ? cannotTellAuthors : permanent("7.1", `you may not send as ${printable(address)}`));
    });
  };
  ask(addresses);
  return () => forget();
}
