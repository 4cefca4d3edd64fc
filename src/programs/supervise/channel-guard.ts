import type { ChildProcess } from "node:child_process";

/** As much of Node's own end of a channel as we touch: it has no public face. */
interface ChannelHandle {
  /** What was read; nothing at the end. */
  onread: (octets?: ArrayBuffer) => void;
  /** A descriptor that came with it. */
  pendingHandle?: { close?: () => void } | null;
}

const receipt = '{"cmd":"NODE_HANDLE_ACK"}';
const longestOctets = receipt.length;

/**
 * Stands between what a program says on its channel and Node, which keeps an endless line whole, and throws for one that
 * is no JSON, or a receipt for nothing: all in this process, the one that everything hangs on. Lets through "hello" and
 * "ready", once each, and the receipt Node waits for when a socket was sent. At anything else calls `onBreach`, and lets
 * nothing through any more. Throws when this version of Node keeps its channels elsewhere.
 */
export function guardChannel(child: ChildProcess, onBreach: () => void): void {
  const handle = channelHandleOf(child);
  const read = handle.onread;
  const greetings = new Set(['{"kind":"hello"}', '{"kind":"ready"}']);
  let rest = "";
  let isBroken = false;

  const isSound = (octets: ArrayBuffer): boolean => {
    const lines = (rest + Buffer.from(octets).toString("latin1")).split("\n");
    rest = lines.pop() ?? "";
    // It sends the next socket when it has the receipt for the last: there is never a second one to come.
    let receipts = Array.isArray(Reflect.get(child, "_handleQueue")) ? 1 : 0;
    const mayCome = (line: string): boolean => (line === receipt ? receipts-- > 0 : greetings.delete(line));
    return lines.every(mayCome) && rest.length <= longestOctets;
  };
  handle.onread = (octets) => {
    if (octets && !isBroken && (handle.pendingHandle || !isSound(octets))) {
      isBroken = true;
      onBreach();
    }
    if (!octets || !isBroken) return read.call(handle, octets);
    handle.pendingHandle?.close?.();
    handle.pendingHandle = null;
  };
}

function channelHandleOf(child: ChildProcess): ChannelHandle {
  const key = Object.getOwnPropertySymbols(child).find((symbol) => symbol.description === "kChannelHandle");
  const handle: unknown = key && Reflect.get(child, key);
  if (typeof handle !== "object" || handle === null || !("onread" in handle) || typeof handle.onread !== "function") {
    throw new Error(`Node ${process.version} keeps its channels elsewhere: they cannot be guarded`);
  }
  return handle as ChannelHandle;
}
