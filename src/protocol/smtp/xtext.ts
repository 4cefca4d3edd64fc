/**
 * What xtext stands for (RFC 3461 §4): `+` and two capital hex digits are an octet, all others themselves. `undefined` for
 * what is no xtext, and for octets that are not printable ASCII: they would get into the header of a report.
 */
export function decodeXtext(text: string): string | undefined {
  if (!/^(?:[!-*,-<>-~]|\+[2-7][0-9A-F])*$/.test(text)) return undefined;
  const decoded = text.replace(/\+(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return decoded.includes("\x7f") ? undefined : decoded;
}
