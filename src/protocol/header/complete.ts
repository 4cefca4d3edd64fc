import { formatDate, formatStamp } from "../date.ts";
import { done, type Outcome, permanent } from "../outcome.ts";
import { type Address, type Completer, type Completion, createCompleter } from "./address-list.ts";
import { type Field, fieldValue, splitMessage } from "./fields.ts";
import { type Token, tokenize, writeField, writeToken } from "./token.ts";

/** Who sends, and how the message is to be completed. Texts are octets (latin1). */
export interface Author {
  readonly user: string;
  readonly host: string;
  /** The personal name in a From field we make. */
  readonly name: string | undefined;
  /** User and host of the default reverse-path, where they differ. */
  readonly senderUser: string | undefined;
  readonly senderHost: string | undefined;
}

export interface Injection {
  readonly author: Author;
  readonly completion: Completion;
  /** The host of a Message-ID we make. */
  readonly idhost: string;
  /** Wishes, each a letter: c, s, f, i, r, m as in QMAILINJECT. */
  readonly letters: ReadonlySet<string>;
  readonly recipientsFrom: "arguments" | "header" | "both";
  readonly arguments: readonly string[];
  /** The reverse-path the caller insists on; "" for `<>`. */
  readonly reversePath: string | undefined;
  /** Addresses of mailing lists the author reads, in lower case; `undefined` for no Mail-Followup-To. */
  readonly mailingLists: ReadonlySet<string> | undefined;
  readonly nowMs: number;
  readonly pid: number;
}

export interface Completed {
  /** All fields, and the empty line if a body follows. */
  readonly header: string;
  readonly body: Buffer | undefined;
  readonly reversePath: string;
  readonly forwardPaths: readonly string[];
}

const mostColumns = 80;
const recipientFields = new Set(["to", "cc", "bcc", "apparently-to", "resent-to", "resent-cc", "resent-bcc"]);
const senderFields = new Set([
  "sender",
  "from",
  "reply-to",
  "return-receipt-to",
  "errors-to",
  "resent-sender",
  "resent-from",
  "resent-reply-to",
  "return-path",
]);
const removedFields = new Set(["bcc", "resent-bcc", "content-length", "return-path"]);
const resentFields = new Set([
  "resent-sender",
  "resent-from",
  "resent-reply-to",
  "resent-to",
  "resent-cc",
  "resent-bcc",
  "resent-date",
  "resent-message-id",
]);

/** Completes a message (LF line ends) the way qmail-inject does, and finds out whom it goes to. */
export function completeMessage(message: Buffer, injection: Injection): Outcome<Completed> {
  const complete = createCompleter(injection.completion);
  const { fields, body } = splitMessage(message);
  const resent = fields.some(({ name }) => resentFields.has(name));
  const read = readFields(fields, complete);
  if (read.kind !== "done") return read;
  const { written, lists } = read.value;

  const reversePath = chooseReversePath(injection, complete, lists);
  if (reversePath.kind !== "done") return reversePath;
  const fromArguments = addressesOfAll(injection.arguments, complete);
  if (fromArguments.kind !== "done") return fromArguments;
  const headerNames = resent ? ["resent-to", "resent-cc", "resent-bcc"] : ["to", "cc", "bcc", "apparently-to"];
  const fromHeader = lists
    .filter(({ name }) => headerNames.includes(name))
    .flatMap(({ addresses }) => addresses.toReversed());
  const forwardPaths = [
    ...(injection.recipientsFrom === "header" ? [] : fromArguments.value),
    ...(injection.recipientsFrom === "arguments" ? [] : fromHeader),
  ];

  const prefix = resent ? "resent-" : "";
  const unwanted = new Set(removedFields);
  if (injection.letters.has("f")) unwanted.add(`${prefix}from`);
  if (injection.letters.has("i")) unwanted.add(`${prefix}message-id`);
  const kept = written.filter(({ name }) => !unwanted.has(name));
  const present = new Set(kept.map(({ name }) => name));
  const generated = generateFields(injection, complete, present, prefix);
  const followup = resent || present.has("mail-followup-to") ? "" : followupField(injection, lists);
  return done({
    header: [...generated, followup, ...kept.map(({ text }) => text), ...(body ? ["\n"] : [])].join(""),
    body,
    reversePath: reversePath.value,
    forwardPaths: forwardPaths.map(({ text }) => text).filter((text) => text !== ""),
  });
}

interface ListField {
  readonly name: string;
  readonly addresses: readonly Address[];
}

/** The fields as they will be written, and the addresses in those that hold addresses. */
function readFields(
  fields: readonly Field[],
  complete: Completer,
): Outcome<{ readonly written: readonly Field[]; readonly lists: readonly ListField[] }> {
  const written: Field[] = [];
  const lists: ListField[] = [];
  for (const field of fields) {
    if (!recipientFields.has(field.name) && !senderFields.has(field.name)) {
      written.push(field);
      continue;
    }
    const tokens = tokenize(fieldValue(field));
    const list = tokens && complete(tokens);
    if (!list) return permanent("6.0", `unable to parse this line:\n${field.text.trimEnd()}`);
    lists.push({ name: field.name, addresses: list.addresses });
    const name = field.text.slice(0, field.name.length);
    written.push({ name: field.name, text: writeList(name, list.tokens) });
  }
  return done({ written, lists });
}

const writeList = (name: string, tokens: readonly Token[]): string =>
  writeField([{ kind: "atom", text: name }, { kind: ":" }, ...tokens], mostColumns);

/** The addresses of arguments, each of which may be a list. */
function addressesOfAll(texts: readonly string[], complete: Completer): Outcome<readonly Address[]> {
  const addresses: Address[] = [];
  for (const text of texts) {
    const tokens = tokenize(text);
    const list = tokens && complete(tokens);
    if (!list) return permanent("1.3", `unable to parse address: ${text}`);
    for (const address of list.addresses) addresses.push(address);
  }
  return done(addresses);
}

function chooseReversePath(
  { reversePath, letters, author, completion, nowMs, pid }: Injection,
  complete: Completer,
  lists: readonly ListField[],
): Outcome<string> {
  const verp = letters.has("r") ? "-@[]" : "";
  if (reversePath !== undefined) {
    const addresses = addressesOfAll([reversePath], complete);
    return addresses.kind === "done" ? done(addresses.value.at(-1)?.text ?? "") : addresses;
  }
  const returnPath = lists.find(({ name }) => name === "return-path")?.addresses.at(-1);
  if (returnPath && !letters.has("s")) return done(returnPath.text + verp);
  const perMessage = letters.has("m") ? `-${Math.floor(nowMs / 1000)}.${pid}` : "";
  const user = `${author.senderUser ?? author.user}${perMessage}${verp && "-"}`;
  const host = author.senderHost ?? author.host;
  const list = complete(mailboxTokens(user, host === "" ? completion.defaulthost : host));
  return done(`${list?.addresses.at(-1)?.text ?? user}${verp}`);
}

/** The user's name is one word or, as `a.b` is, several with dots between; anything else is quoted. */
function mailboxTokens(user: string, host: string): readonly Token[] {
  const words = tokenize(user) ?? [];
  const plain = words.every(({ kind }, at) => kind === (at % 2 === 0 ? "atom" : ".")) && words.length % 2 === 1;
  const localPart: readonly Token[] = plain ? words : [{ kind: "quoted", text: user }];
  return [...localPart, { kind: "@" }, ...(tokenize(host) ?? [{ kind: "atom", text: host }])];
}

/** What the message lacks, in the order in which it goes in front. */
function generateFields(
  { author, idhost, letters, nowMs, pid }: Injection,
  complete: Completer,
  present: ReadonlySet<string>,
  prefix: string,
): readonly string[] {
  const label = prefix === "" ? "" : "Resent-";
  const fields: string[] = [];
  if (!present.has(`${prefix}date`)) fields.push(`${label}Date: ${formatDate(nowMs)}\n`);
  if (!present.has(`${prefix}message-id`)) {
    fields.push(`${label}Message-ID: <${formatStamp(nowMs)}.${pid}.postern@${idhost.replace(/[\r\n]/g, "")}>\n`);
  }
  if (!present.has(`${prefix}from`)) {
    const mailbox = complete(mailboxTokens(author.user, author.host))?.tokens ?? [];
    fields.push(writeList(`${label}From`, withName(mailbox, author.name, letters.has("c"))));
  }
  if (!present.has(`${prefix}to`) && !present.has(`${prefix}cc`)) {
    fields.push(`${label}Cc: recipient list not shown: ;\n`);
  }
  return fields;
}

function withName(mailbox: readonly Token[], name: string | undefined, asComment: boolean): readonly Token[] {
  if (name === undefined || name === "") return mailbox;
  if (asComment)
    return [...mailbox, { kind: "comment", text: name.replace(/[()\\]/g, "\\$&").replace(/[\r\n]/g, " ") }];
  const words = tokenize(name) ?? [];
  const plain = words.length > 0 && words.every((word) => word.kind === "atom" && writeToken(word) === word.text);
  const phrase: readonly Token[] = plain ? words : [{ kind: "quoted", text: name }];
  return [...phrase, { kind: "<" }, ...mailbox, { kind: ">" }];
}

/** Mail-Followup-To, when the message goes to a mailing list its author reads: answers go there, not to the author too. */
function followupField({ mailingLists }: Injection, lists: readonly ListField[]): string {
  const addresses = lists
    .filter(({ name }) => name === "to" || name === "cc")
    .toReversed()
    .flatMap((list) => list.addresses);
  if (!mailingLists || !addresses.some(({ text }) => mailingLists.has(text.toLowerCase()))) return "";
  return `Mail-Followup-To: ${addresses.map(({ written }) => written).join(",\n  ")}\n`;
}
