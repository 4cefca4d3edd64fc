/** Beyond this a report of a local delivery is cut. */
export const maxLocalReportOctets = 3_000;
const tooLong = "\nError report too long, sorry.\n";
const cutReportOctets = 2_997;

/** Whether the report says that files were written, and nothing else was done: they have marks against a repetition. */
export const wroteFilesAlone = (text: string): boolean => /^did [0-9]+\+0\+0\n$/.test(text);

/** A report text as it leaves: up to its first NUL, and cut when it is too long. */
export function localReport(text: string): string {
  const nul = text.indexOf("\0");
  const whole = nul < 0 ? text : text.slice(0, nul);
  return whole.length <= maxLocalReportOctets ? whole : whole.slice(0, cutReportOctets - tooLong.length) + tooLong;
}
