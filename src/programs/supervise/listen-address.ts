import { isIPv4, isIPv6 } from "node:net";
import { done, type Outcome, permanent } from "../../protocol/outcome.ts";

export interface ListenAddress {
  readonly address: string;
  readonly port: number;
}

/** `address:port` of a control file, IPv6 in brackets. */
export function parseListenAddress(file: string, text: string): Outcome<ListenAddress> {
  const colon = text.lastIndexOf(":");
  const host = text.slice(0, Math.max(colon, 0));
  const port = text.slice(colon + 1);
  const address = host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
  const isAddress = address === host ? isIPv4(address) : isIPv6(address) && !address.includes("%");
  if (!isAddress || !/^[0-9]{1,5}$/.test(port) || Number(port) > 65_535) {
    return permanent("3.5", `control/${file}: "${text}" is not address:port, as 127.0.0.1:25 or [::1]:25`);
  }
  return done({ address, port: Number(port) });
}
