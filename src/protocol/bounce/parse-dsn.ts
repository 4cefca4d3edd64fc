import { type Lines, readFields } from "./lines.ts";
import { maxReported, type ReportedRecipient, reportedText } from "./report.ts";

/** Multiparts within multiparts that are followed. */
const maxDepth = 4;

interface Open {
  readonly delimiter: string;
  readonly isReport: boolean;
}

/**
 * Reads the rest of a message whose Content-Type is given: the recipients of the first message/delivery-status (RFC
 * 3464) directly within a multipart/report (RFC 6522), which may be wrapped in other multiparts. `undefined` when there
 * is none. Messages within the message are not looked into; encoded parts are not decoded.
 */
export function parseDsn(lines: Lines, contentType: string): readonly ReportedRecipient[] | undefined {
  const top = multipart(contentType);
  if (!top) return undefined;
  const stack: Open[] = [top];
  const isDelimiter = (line: string): boolean => delimiterAt(stack, line) >= 0;
  for (let line = lines.next(); line !== undefined; line = lines.next()) {
    const level = delimiterAt(stack, line);
    if (level < 0) continue;
    const closes = line.startsWith(`${stack[level]?.delimiter}--`);
    stack.length = closes ? level : level + 1;
    if (stack.length === 0) return undefined;
    if (closes) continue;
    const type = readFields(lines, isDelimiter).get("content-type") ?? "";
    if (stack.at(-1)?.isReport && isStatus(type)) return readRecipients(lines, isDelimiter);
    const inner = stack.length < maxDepth ? multipart(type) : undefined;
    if (inner) stack.push(inner);
  }
  return undefined;
}

/** Which open multipart a line delimits, the innermost first; -1 for none. */
function delimiterAt(stack: readonly Open[], line: string): number {
  if (!line.startsWith("--")) return -1;
  const bare = line.trimEnd();
  return stack.findLastIndex(({ delimiter }) => bare === delimiter || bare === `${delimiter}--`);
}

const isStatus = (contentType: string): boolean =>
  ["message/delivery-status", "message/global-delivery-status"].includes(typeOf(contentType));

const typeOf = (contentType: string): string => contentType.split(";", 1)[0]?.trim().toLowerCase() ?? "";

function multipart(contentType: string): Open | undefined {
  const type = typeOf(contentType);
  const boundary = type.startsWith("multipart/") ? parameter(contentType, "boundary") : undefined;
  return boundary === undefined || boundary === "" || boundary.length > maxBoundaryOctets
    ? undefined
    : { delimiter: `--${boundary}`, isReport: type === "multipart/report" };
}

/** RFC 2046 §5.1.1 says 70; some send more. */
const maxBoundaryOctets = 200;

/** A parameter of a Content-Type (RFC 2045 §5.1), unquoted. */
function parameter(contentType: string, name: string): string | undefined {
  let at = contentType.indexOf(";");
  while (at >= 0 && at < contentType.length) {
    const equals = contentType.indexOf("=", at);
    if (equals < 0) return undefined;
    const found = contentType
      .slice(at + 1, equals)
      .trim()
      .toLowerCase();
    const value = readValue(contentType, equals + 1);
    if (found === name) return value.text;
    at = contentType.indexOf(";", value.end);
  }
  return undefined;
}

function readValue(text: string, start: number): { readonly text: string; readonly end: number } {
  let at = start;
  while (text.charAt(at) === " ") at++;
  if (text.charAt(at) !== '"') {
    const semicolon = text.indexOf(";", at);
    const end = semicolon < 0 ? text.length : semicolon;
    return { text: text.slice(at, end).trim(), end };
  }
  let value = "";
  for (at++; at < text.length && text.charAt(at) !== '"'; at++) {
    if (text.charAt(at) === "\\") at++;
    value += text.charAt(at);
  }
  return { text: value, end: at + 1 };
}

function readRecipients(lines: Lines, isDelimiter: (line: string) => boolean): readonly ReportedRecipient[] {
  readFields(lines, isDelimiter); // of the message as a whole
  const found: ReportedRecipient[] = [];
  for (let line = lines.next(); line !== undefined && found.length < maxReported; line = lines.next()) {
    if (isDelimiter(line)) break;
    if (line === "") continue;
    lines.back();
    const fields = readFields(lines, isDelimiter);
    const recipient = addressIn(fields.get("original-recipient")) || addressIn(fields.get("final-recipient"));
    if (recipient !== "") found.push({ recipient, ...fateIn(fields) });
  }
  return found;
}

function fateIn(fields: ReadonlyMap<string, string>): Omit<ReportedRecipient, "recipient"> {
  const action = fields.get("action")?.toLowerCase() ?? "";
  return {
    action: action === "failed" || action === "delayed" ? action : "other",
    status: /^[245]\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9.])/.exec(fields.get("status") ?? "")?.[0] ?? "",
    text: reportedText(behindType(fields.get("diagnostic-code") ?? "")),
  };
}

const behindType = (value: string): string => value.slice(value.indexOf(";") + 1).trim();

/** The address of `rfc822; address` (RFC 3464 §2.3.1), with or without brackets, unquoted. "" when there is none. */
function addressIn(value: string | undefined): string {
  if (value === undefined || !value.includes(";")) return "";
  const text = behindType(value);
  const bare = text.startsWith("<") && text.endsWith(">") ? text.slice(1, -1) : text;
  const at = bare.lastIndexOf("@");
  const local = at < 0 ? bare : bare.slice(0, at);
  if (local.length < 2 || !local.startsWith('"') || !local.endsWith('"')) return bare;
  return local.slice(1, -1).replace(/\\(.)/g, "$1") + bare.slice(local.length);
}
