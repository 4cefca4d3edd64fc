/**
 * Gives back the memory of octets that nobody has a view of any more: every view of it is empty from now on. V8 would find
 * that out too, by looking through all that lives: the bodies of messages kept it busy for more than half of all time.
 * Not for what was handed to a socket or an asynchronous file call that may not be done with it. A part of something
 * larger stays.
 */
export function free({ buffer, byteLength }: Uint8Array): void {
  if (byteLength > 0 && buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}
