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

export function writeHeader(octets: Buffer, type: number, stream: number, payloadOctets: number): void {
  octets.writeUInt32BE(payloadOctets, 0);
  octets[4] = type;
  octets.writeUInt32BE(stream, 5);
}

/**
 * Reads frames, chunk by chunk, whatever the sender sends. Returns the frames a chunk completes, or "broken" when a
 * length is out of bounds: the channel cannot be trusted any more and must be closed. Keeps at most one frame.
 */
export function createFrameReader(): (chunk: Buffer) => readonly Frame[] | "broken" {
  let kept: Buffer | undefined;
  return (chunk) => {
    const octets = kept ? Buffer.concat([kept, chunk]) : chunk;
    const frames: Frame[] = [];
    let at = 0;
    while (octets.length - at >= headerOctets) {
      const length = octets.readUInt32BE(at);
      if (length > maxPayloadOctets) return "broken";
      const end = at + headerOctets + length;
      if (end > octets.length) break;
      frames.push({
        type: octets.readUInt8(at + 4),
        stream: octets.readUInt32BE(at + 5),
        payload: octets.subarray(at + headerOctets, end),
      });
      at = end;
    }
    kept = at < octets.length ? octets.subarray(at) : undefined;
    return frames;
  };
}
