/**
 * Frames are how programs talk: length (u32), type (u8), stream (u32), payload; integers big-endian.
 * A stream is one message or one delivery; the side that opens it picks the number.
 */
export interface Frame {
  readonly type: number;
  readonly stream: number;
  /** A view of the chunk it came in: copy what is kept beyond the call. */
  readonly payload: Buffer;
}

/** No frame carries more. Longer things are several frames. */
export const maxPayloadOctets = 65_536;
export const headerOctets = 9;

/** One frame as octets. The payload must fit; everything we send is cut to size before. */
export function encodeFrame(type: number, stream: number, payload: Uint8Array): Buffer {
  if (payload.length > maxPayloadOctets) throw new RangeError(`frame of ${payload.length} octets`);
  const octets = Buffer.allocUnsafe(headerOctets + payload.length);
  writeHeader(octets, type, stream, payload.length);
  octets.set(payload, headerOctets);
  return octets;
}

/** As `encodeFrame`, of a payload given as text, one character an octet. */
export function encodeTextFrame(type: number, stream: number, payload: string): Buffer {
  if (payload.length > maxPayloadOctets) throw new RangeError(`frame of ${payload.length} octets`);
  const octets = Buffer.allocUnsafe(headerOctets + payload.length);
  writeHeader(octets, type, stream, payload.length);
  octets.write(payload, headerOctets, "latin1");
  return octets;
}

export function writeHeader(octets: Buffer, type: number, stream: number, payloadOctets: number): void {
  octets.writeUInt32BE(payloadOctets, 0);
  octets[4] = type;
  octets.writeUInt32BE(stream, 5);
}

/**
 * Reads frames, chunk by chunk, whatever the sender sends. Returns the frames a chunk completes, or "broken" when a
 * length is out of bounds: the channel cannot be trusted any more and must be closed. Keeps at most one frame, copies
 * no octet of it twice, however small its pieces are.
 */
export function createFrameReader(): (chunk: Buffer) => readonly Frame[] | "broken" {
  let kept: Buffer | undefined; // room for a whole frame, or for its header until that is known
  let keptOctets = 0;
  /** Adds what of `chunk` belongs to the frame that was begun, and returns how much that is. */
  const complete = (chunk: Buffer, room: Buffer): number => {
    const taken = chunk.copy(room, keptOctets);
    keptOctets += taken;
    return taken;
  };
  return (chunk) => {
    const frames: Frame[] = [];
    let at = 0;
    if (kept) {
      if (kept.length === headerOctets) {
        at = complete(chunk, kept);
        if (keptOctets < headerOctets) return frames;
        const length = kept.readUInt32BE(0);
        if (length > maxPayloadOctets) return "broken";
        const room = Buffer.allocUnsafeSlow(headerOctets + length);
        kept.copy(room);
        kept = room;
      }
      at += complete(chunk.subarray(at), kept);
      if (keptOctets < kept.length) return frames;
      frames.push(frameAt(kept, 0, kept.length));
      kept = undefined;
    }
    while (chunk.length - at >= headerOctets) {
      const length = chunk.readUInt32BE(at);
      if (length > maxPayloadOctets) return "broken";
      const end = at + headerOctets + length;
      if (end > chunk.length) break;
      frames.push(frameAt(chunk, at, end));
      at = end;
    }
    if (at < chunk.length) {
      const isWhole = chunk.length - at >= headerOctets;
      kept = Buffer.allocUnsafeSlow(headerOctets + (isWhole ? chunk.readUInt32BE(at) : 0));
      keptOctets = chunk.copy(kept, 0, at);
    }
    return frames;
  };
}

const frameAt = (octets: Buffer, at: number, end: number): Frame => ({
  type: octets.readUInt8(at + 4),
  stream: octets.readUInt32BE(at + 5),
  payload: octets.subarray(at + headerOctets, end),
});
