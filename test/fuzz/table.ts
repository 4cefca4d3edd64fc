import type { Row } from "./explore.ts";
import { bounceRows } from "./rows/bounce.ts";
import { clientRows } from "./rows/client.ts";
import { dnsRows } from "./rows/dns.ts";
import { headerRows } from "./rows/header.ts";
import { loginRows } from "./rows/login.ts";
import { maildirRows } from "./rows/maildir.ts";
import { outputRows } from "./rows/output.ts";
import { pop3Rows } from "./rows/pop3.ts";
import { qmailRows } from "./rows/qmail.ts";
import { qmtpRows } from "./rows/qmtp.ts";
import { queueProgramRows } from "./rows/queue-program.ts";
import { routingRows } from "./rows/routing.ts";
import { smtpRows } from "./rows/smtp.ts";
import { textRows } from "./rows/text.ts";
import { toolsRows } from "./rows/tools.ts";
import { usersRows } from "./rows/users.ts";
import { wireRows } from "./rows/wire.ts";

/** Every parser, and everything that writes what others wrote. A new one is a row here. */
export const rows: readonly Row[] = [
  ...[
    ...smtpRows,
    ...clientRows,
    ...dnsRows,
    ...wireRows,
    ...qmtpRows,
    ...queueProgramRows,
    ...headerRows,
    ...textRows,
    ...routingRows,
    ...usersRows,
    ...toolsRows,
    ...outputRows,
    ...bounceRows,
    ...qmailRows,
    ...pop3Rows,
    ...maildirRows,
    ...loginRows,
  ],
];
