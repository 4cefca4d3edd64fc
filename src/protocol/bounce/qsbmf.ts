import { type Bounce, type Notice, noticeHeader, noticeText, returnPathLine } from "./notice.ts";

/** A bounce in qmail's own form: text, a break line, the message. Readable by people and by programs alike. */
export function composeQsbmf(notice: Notice): Bounce {
  const what = notice.reversePath === "" ? "the original bounce" : "a copy of the message";
  const copy = notice.headerOnlyOver === undefined ? what : `the header of ${what.replace("a copy of ", "")}`;
  const text = `${noticeText(notice)}--- Below this line is ${copy}.\n\n`;
  return { prefix: `${noticeHeader(notice)}\n${text}${returnPathLine(notice.reversePath)}`, suffix: "" };
}
