/**
 * Frames are how programs talk: length (u32), type (u8), stream (u32), payload; integers big-endian.
 * A stream is one message or one delivery; the side that opens it picks the number.
 */
export interface Frame {
  readonly type: number;
  readonly stream: number;
  /** A view of what came, which may be gone after the call: what is kept is to be copied. */
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

export function writeHeader(octets: Buffer, type: number, stream: number, payloadOctets: number, at = 0): void {
  octets.writeUInt32BE(payloadOctets, at);
  octets[at + 4] = type;
  octets.writeUInt32BE(stream, at + 5);
}

/**
 * Reads frames, chunk by chunk, whatever the sender sends. Returns the frames a chunk completes, or "broken" when a
 * length is out of bounds: the channel cannot be trusted any more and must be closed. Keeps room for two frames, copies
 * no octet of one twice, however small its pieces are.
 */
export function createFrameReader(): (chunk: Buffer) => readonly Frame[] | "broken" {
  let room = nothing; // for the frame that has begun
  let other = nothing; // has the one before, which the caller may be about to read
  let wanted = 0; // octets of that frame; of its header, until its length is known; 0 when none has begun
  let kept = 0;
  const want = (octets: number): void => {
    wanted = octets;
    if (room.length >= octets) return;
    const larger = Buffer.allocUnsafeSlow(octets);
    room.copy(larger, 0, 0, kept);
    room = larger;
  };
  /** Adds what belongs to that frame, and returns how much it is. */
  const keep = (chunk: Buffer, from: number): number => {
    const octets = chunk.copy(room, kept, from, from + wanted - kept);
    kept += octets;
    return octets;
  };
  return (chunk) => {
    const frames: Frame[] = [];
    let at = 0;
    if (wanted > 0) {
      at = keep(chunk, 0);
      if (wanted === headerOctets && kept === wanted) {
        const length = room.readUInt32BE(0);
        if (length > maxPayloadOctets) return "broken";
        want(headerOctets + length);
        at += keep(chunk, at);
      }
      if (kept < wanted) return frames;
      frames.push(frameAt(room, 0, wanted));
      [room, other] = [other, room];
      wanted = kept = 0;
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
      const hasLength = chunk.length - at >= headerOctets;
      want(headerOctets + (hasLength ? chunk.readUInt32BE(at) : 0));
      keep(chunk, at);
    }
    return frames;
  };
}

const nothing = Buffer.alloc(0);

const frameAt = (octets: Buffer, at: number, end: number): Frame => ({
  type: octets.readUInt8(at + 4),
  stream: octets.readUInt32BE(at + 5),
  payload: octets.subarray(at + headerOctets, end),
});
