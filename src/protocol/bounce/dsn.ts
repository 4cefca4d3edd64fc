import { formatDate } from "../date.ts";
import {
  type Bounce,
  type FailedRecipient,
  fieldAddress,
  type Notice,
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
}

/** A bounce as multipart/report (RFC 6522): qmail's text, message/delivery-status (RFC 3464), the message. */
export function composeDsn(notice: Notice, mime: Mime): Bounce {
  const { boundary } = mime;
  const eightBit = mime.eightBit ? "Content-Transfer-Encoding: 8bit\n" : "";
  const copyType = notice.headerOnlyOver === undefined ? "message/rfc822" : "text/rfc822-headers";
  const prefix = `${noticeHeader(notice)}Message-ID: <${mime.messageId}>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
	boundary="${boundary}"
${eightBit}
--${boundary}
Content-Type: text/plain; charset=us-ascii

${asciiOnly(noticeText(notice))}
--${boundary}
Content-Type: message/delivery-status

Reporting-MTA: dns; ${notice.reportingHost}
Arrival-Date: ${formatDate(notice.arrivedMs)}

${notice.failures.map(recipientFields).join("\n")}
--${boundary}
Content-Type: ${copyType}
${eightBit}
${returnPathLine(notice.reversePath)}`;
  return { prefix, suffix: `\n--${boundary}--\n` };
}

/** RFC 3464 §2.3. */
const recipientFields = ({ forwardPath, status, text }: FailedRecipient): string => {
  const diagnostic = oneLine(text);
  return `Final-Recipient: rfc822; ${asciiOnly(fieldAddress(forwardPath))}
Action: failed
Status: 5.${status}
${diagnostic === "" ? "" : `Diagnostic-Code: x-postern; ${diagnostic}\n`}`;
};

/** Well within the 998 octets of a line (RFC 5322 §2.1.1). */
const maxDiagnosticOctets = 900;

function oneLine(text: string): string {
  const words = asciiOnly(withoutControls(text)).slice(0, maxDiagnosticOctets).split(/[\s]/);
  return words.filter((word) => word !== "").join(" ");
}

const asciiOnly = (text: string): string => text.replace(/[\x80-\xff]/g, "?");
