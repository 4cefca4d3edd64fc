/**
 * What some server somewhere takes, or took, for the end of a message though it is not CR LF . CR LF; and what becomes
 * of it here: refused, or text of the one message. Whoever sends it wants us to read one message and the next hop two.
 */
export const smugglingForms = [
  { name: "LF . LF", form: "\n.\n", becomes: "bare LF" },
  { name: "LF . CR LF", form: "\n.\r\n", becomes: "bare LF" },
  { name: "CR LF . LF", form: "\r\n.\n", becomes: "bare LF" },
  { name: "CR . CR", form: "\r.\r", becomes: "bare CR" },
  { name: "CR . CR LF", form: "\r.\r\n", becomes: "bare CR" },
  { name: "CR LF . CR", form: "\r\n.\r", becomes: "bare CR" },
  { name: "CR . LF", form: "\r.\n", becomes: "bare CR" },
  { name: "LF . CR", form: "\n.\r", becomes: "bare LF" },
  { name: "LF CR . LF CR", form: "\n\r.\n\r", becomes: "bare LF" },
  { name: "CR CR LF . CR CR LF", form: "\r\r\n.\r\r\n", becomes: "bare CR" },
  { name: "CR CR LF . CR LF", form: "\r\r\n.\r\n", becomes: "bare CR" },
  { name: "CR LF . CR CR LF", form: "\r\n.\r\r\n", becomes: "bare CR" },
  { name: "CR LF . NUL CR LF", form: "\r\n.\0\r\n", becomes: "NUL" },
  { name: "CR LF NUL . CR LF", form: "\r\n\0.\r\n", becomes: "NUL" },
  { name: "CR NUL LF . CR NUL LF", form: "\r\0\n.\r\0\n", becomes: "bare CR" },
  { name: "CR LF . blank CR LF", form: "\r\n. \r\n", becomes: "text" },
  { name: "CR LF . tab CR LF", form: "\r\n.\t\r\n", becomes: "text" },
  { name: "CR LF blank . CR LF", form: "\r\n .\r\n", becomes: "text" },
  { name: "CR LF .. CR LF", form: "\r\n..\r\n", becomes: "text" },
  { name: "CR LF ... CR LF", form: "\r\n...\r\n", becomes: "text" },
  { name: "CR LF .DEL CR LF", form: "\r\n.\x7f\r\n", becomes: "text" },
  { name: "vertical tabs for line ends", form: "\v.\v", becomes: "text" },
  { name: "form feeds for line ends", form: "\f.\f", becomes: "text" },
  { name: "NEL for line ends", form: "\x85.\x85", becomes: "text" },
  { name: "line separators in UTF-8", form: "\xe2\x80\xa8.\xe2\x80\xa8", becomes: "text" },
  { name: "=0D=0A as in quoted-printable", form: "=0D=0A.=0D=0A", becomes: "text" },
] as const;

const second = "MAIL FROM:<smuggled@evil.example>\r\nRCPT TO:<victim@localhost>\r\nDATA\r\nsecond";
export const wireOf = (form: string): string => `first${form}${second}\r\n.\r\n`;
