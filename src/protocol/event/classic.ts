import type { Logged } from "./event.ts";

/**
 * Text from outside, made harmless as qmail-send does: a line end becomes `/`, every octet below 33, above 126 and `%`
 * becomes `_`. So it holds no blank, and the words of a line keep their places.
 */
export function sanitise(text: string): string {
  let safe = "";
  for (let at = 0; at < text.length; at++) {
    const octet = text.charCodeAt(at);
    if (octet === 10) safe += "/";
    else safe += octet < 33 || octet > 126 || octet === 0x25 ? "_" : text.charAt(at);
  }
  return safe;
}

/** Our own sentences keep their blanks; whatever else could not stand in a line goes. */
const sentence = (text: string): string => text.split(" ").map(sanitise).join(" ");

/**
 * An event as one line without its end: those of the queue as qmail-send writes them, to the octet, so that log
 * analysers go on working; the others in the same style, behind the name of their program.
 */
export function renderClassic(logged: Logged): string {
  switch (logged.event) {
    case "new":
      return `new msg ${logged.message}`;
    case "info":
      return `info msg ${logged.message}: bytes ${logged.octets} from <${sanitise(logged.reversePath)}> qp ${logged.message} uid ${logged.uid}`;
    case "starting":
      return `starting delivery ${logged.delivery}: msg ${logged.message} to ${logged.channel} ${sanitise(logged.recipient)}`;
    case "delivery":
      return `delivery ${logged.delivery}: ${logged.result}: ${sanitise(logged.text)}`;
    case "status":
      return `status: local ${logged.local}/${logged.localLimit} remote ${logged.remote}/${logged.remoteLimit}${logged.exiting ? " exitasap" : ""}`;
    case "bounce":
      return `bounce msg ${logged.message} qp ${logged.bounce}`;
    case "triple bounce":
      return `triple bounce: discarding bounce/${logged.message}`;
    case "end":
      return `end msg ${logged.message}`;
    case "warning":
      return `warning: ${sentence(logged.text)}`;
    case "alert":
      return `alert: ${sentence(logged.text)}`;
    case "stopped":
      return logged.program === "queue" ? "status: exiting" : `${sanitise(logged.program)}: stopped: pid ${logged.pid}`;
    default:
      return `${sanitise(logged.program)}: ${renderOther(logged)}`;
  }
}

type Other = Exclude<
  Logged,
  {
    readonly event:
      | "new"
      | "info"
      | "starting"
      | "delivery"
      | "status"
      | "bounce"
      | "triple bounce"
      | "end"
      | "warning"
      | "alert"
      | "stopped";
  }
>;

/** What qmail-send has no line for. */
function renderOther(logged: Other): string {
  switch (logged.event) {
    case "operator":
      return `operator ${sanitise(logged.action)}: ${logged.count} by uid ${logged.uid}`;
    case "connection":
      return `connection ${logged.connection}: ${sanitise(logged.service)} from ${sanitise(logged.address)}:${logged.port}`;
    case "tls":
      return `connection ${logged.connection}: ${sanitise(logged.protocol)} ${sanitise(logged.cipher)}`;
    case "authenticated":
      return `connection ${logged.connection}: is ${sanitise(logged.account)}, by ${sanitise(logged.mechanism)}`;
    case "relaying":
      return `connection ${logged.connection}: ${logged.address} may send to anywhere: ${logged.why}`;
    case "mailbox":
      return `connection ${logged.connection}: mailbox of ${sanitise(logged.account)}`;
    case "tls failure":
      return `connection ${logged.connection}: TLS failed with ${sanitise(logged.address)}: ${sanitise(logged.why)}`;
    case "accepted":
      return `connection ${logged.connection}: accepted msg ${logged.message} for ${logged.recipients}`;
    case "refusal":
      return `connection ${logged.connection}: refused ${sanitise(logged.command)} from ${sanitise(logged.address)}: ${sanitise(logged.reply)}`;
    case "disconnection":
      return `connection ${logged.connection}: closed after ${logged.messages}: ${sanitise(logged.why)}`;
    case "login":
      return `login: ${renderLogin(logged)}`;
    case "login failure":
      return `login failed: ${renderLogin(logged)}: ${sentence(logged.why)}`;
    case "report":
      return `report msg ${logged.message} qp ${logged.report}: ${sanitise(logged.action)}`;
    case "started":
      return `started: pid ${logged.pid}`;
    case "died":
      return `${sanitise(logged.name)} died: pid ${logged.pid}: ${sanitise(logged.why)}: again in ${logged.againInMs} ms`;
    case "tls results":
      return `tls results ${sanitise(logged.domain)}: ${sanitise(logged.policy)}: ${sanitise(logged.result)}: ${logged.count}`;
    case "reloaded":
      return "reloaded";
    default:
      return logged satisfies never;
  }
}

const renderLogin = ({
  service,
  mechanism,
  account,
  address,
}: Extract<Logged, { readonly event: "login" | "login failure" }>): string =>
  `${sanitise(service)} ${sanitise(mechanism)} <${sanitise(account)}> from ${sanitise(address)}`;
