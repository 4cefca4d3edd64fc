import { splitAtBlanks } from "../blanks.ts";
import { formatDate } from "../date.ts";
import { decodeXtext } from "../smtp/xtext.ts";
import {
  type Action,
  type Bounce,
  fieldAddress,
  type Notice,
  type NoticeRecipient,
  noticeHeader,
  noticeText,
  returnPathLine,
  withoutControls,
} from "./notice.ts";

export interface Mime {
  /** Must not occur in the message: made from something its author could not know. */
  readonly boundary: string;
  /** Without its brackets. */
  readonly messageId: string;
  /** The message was declared to have octets above 127 (RFC 6152). */
  readonly eightBit: boolean;
  /** The message needed SMTPUTF8: so does the report (RFC 6533). */
  readonly utf8?: boolean;
}

/** Text as it may stand in a report. */
type Show = (text: string) => string;

/** A report as multipart/report (RFC 6522): text, message/delivery-status (RFC 3464), the message or its header. */
export function composeDsn(notice: Notice, mime: Mime): Bounce {
  const { boundary, utf8 = false } = mime;
  const show = utf8 ? utf8Only : asciiOnly;
  const eightBit = mime.eightBit || utf8 ? "Content-Transfer-Encoding: 8bit\n" : "";
  const types = utf8 ? utf8Types : asciiTypes;
  const copyType = notice.headerOnlyOver === undefined ? types.message : types.header;
  const prefix = `${noticeHeader(notice)}Message-ID: <${mime.messageId}>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="${boundary}"
${eightBit}
--${boundary}
Content-Type: text/plain; charset=${types.charset}
${utf8 ? eightBit : ""}
${show(noticeText(notice))}
--${boundary}
Content-Type: ${types.status}
${utf8 ? eightBit : ""}
${envelopeIdField(notice)}Reporting-MTA: dns; ${notice.reportingHost}
Arrival-Date: ${formatDate(notice.arrivedMs)}

${notice.recipients.map((recipient) => recipientFields(recipient, notice, show)).join("\n")}
--${boundary}
Content-Type: ${copyType}
${eightBit}
${returnPathLine(notice.reversePath)}`;
  return { prefix, suffix: `\n--${boundary}--\n` };
}

const asciiTypes = {
  charset: "us-ascii",
  status: "message/delivery-status",
  message: "message/rfc822",
  header: "text/rfc822-headers",
} as const;
/** RFC 6533 §4, RFC 6532 §3.7. */
const utf8Types = {
  charset: "utf-8",
  status: "message/global-delivery-status",
  message: "message/global",
  header: "message/global-headers",
} as const;

function envelopeIdField({ envelopeId = "" }: Notice): string {
  const text = decodeXtext(envelopeId);
  return text ? `Original-Envelope-Id: ${text}\n` : "";
}

/** RFC 3464 §2.3. */
function recipientFields(recipient: NoticeRecipient, { action = "failed", retryUntilMs }: Notice, show: Show): string {
  const { forwardPath, status, text, remoteHost } = recipient;
  const diagnostic = oneLine(text, show);
  const finalRecipient = show(fieldAddress(forwardPath));
  const fields = [
    ...originalRecipient(recipient, show),
    `Final-Recipient: ${isAscii(finalRecipient) ? "rfc822" : "utf-8"}; ${finalRecipient}`,
    `Action: ${action}`,
    `Status: ${classes[action]}.${status}`,
    ...(remoteHost === undefined ? [] : [`Remote-MTA: dns; ${oneLine(remoteHost, show)}`]),
    ...(diagnostic === "" ? [] : [`Diagnostic-Code: x-postern; ${diagnostic}`]),
    ...(retryUntilMs === undefined ? [] : [`Will-Retry-Until: ${formatDate(retryUntilMs)}`]),
  ];
  return fields.map((field) => `${field}\n`).join("");
}

/** RFC 3463 §2. */
const classes: Readonly<Record<Action, number>> = { failed: 5, delayed: 4, delivered: 2, relayed: 2, expanded: 2 };

/** ORCPT, its xtext undone (RFC 3461 §6.3). What is of another form is left as it came. */
function originalRecipient({ originalRecipient = "" }: NoticeRecipient, show: Show): readonly string[] {
  const semicolon = originalRecipient.indexOf(";");
  if (semicolon < 0) return [];
  const address = originalRecipient.slice(semicolon + 1);
  const type = oneLine(originalRecipient.slice(0, semicolon), asciiOnly);
  return [`Original-Recipient: ${type}; ${oneLine(decodeXtext(address) ?? address, show)}`];
}

/** Well within the 998 octets of a line (RFC 5322 §2.1.1). */
const maxDiagnosticOctets = 900;

function oneLine(text: string, show: Show): string {
  return splitAtBlanks(show(withoutControls(text).slice(0, maxDiagnosticOctets))).join(" ");
}

const asciiOnly = (text: string): string => text.replace(/[\x80-\xff]/g, "?");
const isAscii = (text: string): boolean => !/[\x80-\xff]/.test(text);

/** Text that is no UTF-8 loses what is not ASCII. */
function utf8Only(text: string): string {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(text, "latin1"));
    return text;
  } catch {
    return asciiOnly(text);
  }
}
