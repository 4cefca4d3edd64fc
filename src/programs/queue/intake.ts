import { isDeepStrictEqual } from "node:util";
import { isEnvelopeAddress, maxAddressOctets } from "../../protocol/address.ts";
import { type Failure, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import type { Frame } from "../../protocol/wire/frame.ts";
import {
  abandon,
  bodyType,
  commit,
  dsnRecipients,
  noOptions,
  type Options,
  open,
  options,
  recipients,
  refused,
  stored,
  submissionCredit,
  submissionWindowOctets,
} from "../../protocol/wire/submission.ts";
import type { Channel, ChannelEvents } from "../../services/channel/channel.ts";
import { free } from "../../services/memory/free.ts";
import { chunkOctets, type Dsn, maxChunks } from "../../services/storage/storage.ts";
import type { Admissions, Chunk } from "./admission.ts";
import type { Answer } from "./commit.ts";
import type { Core } from "./core.ts";
import { Piece } from "./piece.ts";
import { isPossible, readDsns } from "./wishes.ts";

const maxRecipients = 100_000;
/** Nobody may have us keep a message for longer before its first attempt (RFC 4865). */
const maxHoldMs = 366 * 86_400_000;
const maxBodyKind = 2;
/** Messages of one peer on their way at once. */
const maxStreams = 20_000;
/** All envelopes and unwritten bodies on their way together; over it new ones are refused for now. */
const maxHeldOctets = 134_217_728;
/** What an address costs in memory beside its octets, and a message beside its addresses and body. */
const addressCostOctets = 64;
const messageCostOctets = 1_024;
/** Answers that a peer does not read. */
const maxUnreadOctets = 16_777_216;

/** A message that is coming in. */
interface Submission {
  readonly piece: Piece;
  /** The first chunk of its body, while more comes and the window is not used up: what is shorter is written at once. */
  first: Buffer | undefined;
  /** Id of the message to be, once part of its body is on disk. */
  id: number;
  chunks: number;
  octets: number;
  /** Of these, not yet on disk: the sender's credit. */
  unwritten: number;
  /** Pieces handed over to be written, without a result yet, and their octets. */
  writing: number;
  writingOctets: number;
  /** Waits until they have one: a message is not committed before its body is there. */
  commit: (() => void) | undefined;
  /** Refused, abandoned or broken off: what is still under way means nothing. */
  ended: boolean;
  forwardPaths: string[];
  /** By place in `forwardPaths`. */
  readonly dsns: Map<number, Dsn>;
  options: Options | undefined;
  heldOctets: number;
}

export class Intake {
  readonly #core: Core;
  readonly #admissions: Admissions;
  #heldOctets = 0;
  #closed = false;

  constructor(core: Core, admissions: Admissions) {
    this.#core = core;
    this.#admissions = admissions;
  }

  get heldOctets(): number {
    return this.#heldOctets;
  }

  /** From now on whatever comes is refused for now. */
  close(): void {
    this.#closed = true;
  }

  /** Serves a receiving program. When its channel breaks, what it had not committed never was. */
  connect(connect: (events: ChannelEvents) => Channel): void {
    const submissions = new Map<number, Submission>();
    const channel: Channel = connect({
      onFrame: (frame) =>
        channel.pendingOctets > maxUnreadOctets ? "broken" : this.#onFrame(frame, submissions, channel),
      onClose: () => {
        for (const submission of submissions.values()) this.#drop(submission);
        submissions.clear();
      },
    });
  }

  #onFrame(frame: Frame, submissions: Map<number, Submission>, channel: Channel): undefined | "broken" {
    const { stream, payload } = frame;
    if (frame.type === open.type) return this.#open(frame, submissions, channel);
    const submission = submissions.get(stream);
    if (!submission) return undefined; // on its way when we refused it
    const refuse = (failure: Failure): undefined => this.#refuse(submission, failure, stream, submissions, channel);
    switch (frame.type) {
      case bodyType:
        return this.#body(submission, payload, refuse, (octets) =>
          channel.send(submissionCredit.encode(stream, { octets })),
        );
      case recipients.type: {
        const fields = recipients.decode(payload);
        return fields ? this.#recipients(submission, fields.forwardPaths, refuse) : "broken";
      }
      case dsnRecipients.type: {
        const fields = dsnRecipients.decode(payload);
        const dsns = fields && readDsns(fields);
        return dsns ? this.#recipients(submission, fields.forwardPaths, refuse, dsns) : "broken";
      }
      case options.type: {
        const fields = options.decode(payload);
        if (!fields || submission.options || !isPossible(fields)) return "broken";
        submission.options = fields;
        return this.#isTooLong(fields) ? refuse(heldTooLong) : undefined;
      }
      case commit.type: {
        const fields = commit.decode(payload);
        if (!fields || fields.bodyKind > maxBodyKind) return "broken";
        const wrong = this.#wrongCommit(fields.reversePath);
        if (wrong) return refuse(wrong);
        submissions.delete(stream);
        submission.commit = () => this.#commit(submission, fields, stream, channel);
        if (submission.writing === 0) submission.commit();
        return undefined;
      }
      case abandon.type:
        submissions.delete(stream);
        this.#drop(submission);
        return undefined;
      default:
        return "broken";
    }
  }

  #open({ stream, payload }: Frame, submissions: Map<number, Submission>, channel: Channel): undefined | "broken" {
    if (submissions.has(stream) || payload.length > 0 || submissions.size >= maxStreams) return "broken";
    const submission = emptySubmission();
    submissions.set(stream, submission);
    if (this.#hold(submission, messageCostOctets)) return undefined;
    return this.#refuse(submission, crowded, stream, submissions, channel);
  }

  #refuse(
    submission: Submission,
    failure: Failure,
    stream: number,
    submissions: Map<number, Submission>,
    channel: Channel,
  ): undefined {
    if (submission.ended) return;
    // After its commit the stream is the peer's again, and may be another message.
    if (submissions.get(stream) === submission) submissions.delete(stream);
    this.#drop(submission);
    const { status, text } = failure;
    channel.send(refused.encode(stream, { permanent: failure.kind === "permanent" ? 1 : 0, status, text }));
  }

  #hold(submission: Submission, octets: number): boolean {
    this.#heldOctets += octets;
    submission.heldOctets += octets;
    return this.#heldOctets <= maxHeldOctets;
  }

  #body(
    submission: Submission,
    payload: Buffer,
    refuse: (failure: Failure) => undefined,
    credit: (octets: number) => void,
  ): undefined | "broken" {
    if (submission.unwritten + payload.length > submissionWindowOctets) return "broken";
    submission.octets += payload.length;
    submission.unwritten += payload.length;
    if (submission.chunks >= maxChunks - 1) return refuse(permanent("3.4", "message over 4 GiB"));
    if (!this.#hold(submission, payload.length)) return refuse(crowded);
    let rest = payload;
    while (rest.length > 0) {
      rest = submission.piece.fill(rest);
      if (rest.length === 0) break;
      const octets = submission.piece.take();
      if (submission.chunks === 0 && !submission.first) submission.first = octets;
      else this.#writeChunk(submission, octets, refuse, credit);
    }
    if (submission.first && submission.unwritten === submissionWindowOctets) {
      const { first } = submission;
      submission.first = undefined;
      this.#writeChunk(submission, first, refuse, credit);
    }
    return undefined;
  }

  /** Puts a full chunk on disk, where nothing refers to it until the message is committed. */
  #writeChunk(
    submission: Submission,
    octets: Buffer,
    refuse: (failure: Failure) => undefined,
    credit: (octets: number) => void,
  ): void {
    if (submission.id === 0) submission.id = this.#core.storage.nextId();
    submission.writing++;
    submission.writingOctets += octets.length;
    const change = { kind: "chunk", body: submission.id, number: submission.chunks++, octets } as const;
    this.#core.committer.offer([change], (outcome) => {
      const { length } = octets;
      free(octets);
      submission.writing--;
      submission.writingOctets -= length;
      submission.unwritten -= length;
      this.#letGo(submission, length);
      if (outcome.kind !== "done") refuse(outcome);
      if (submission.ended) return;
      if (!submission.commit) credit(length);
      else if (submission.writing === 0) submission.commit();
    });
  }

  #recipients(
    submission: Submission,
    forwardPaths: readonly string[],
    refuse: (failure: Failure) => undefined,
    dsns: readonly (Dsn | undefined)[] = [],
  ): undefined {
    if (submission.forwardPaths.length + forwardPaths.length > maxRecipients) {
      return refuse(permanent("5.3", `more than ${maxRecipients} recipients`));
    }
    for (const [place, forwardPath] of forwardPaths.entries()) {
      const dsn = dsns[place];
      if (!isEnvelopeAddress(forwardPath) || forwardPath === "") return refuse(badAddress);
      const dsnOctets = dsn ? dsn.originalRecipient.length + addressCostOctets : 0;
      if (!this.#hold(submission, forwardPath.length + addressCostOctets + dsnOctets)) return refuse(crowded);
      if (dsn) submission.dsns.set(submission.forwardPaths.length, dsn);
      submission.forwardPaths.push(forwardPath);
    }
    return undefined;
  }

  #isTooLong({ holdUntilMs }: Options): boolean {
    return holdUntilMs > this.#core.clock.wallMs() + maxHoldMs;
  }

  #wrongCommit(reversePath: string): Failure | undefined {
    if (this.#closed) return temporary("3.2", "the queue is stopping");
    return isEnvelopeAddress(reversePath) ? undefined : badAddress;
  }

  #commit(
    submission: Submission,
    { reversePath, bodyKind, uid }: { reversePath: string; bodyKind: number; uid: number },
    stream: number,
    channel: Channel,
  ): void {
    const id = submission.id || this.#core.storage.nextId();
    const { octets, forwardPaths, dsns } = submission;
    const asked = submission.options;
    const chunks = lastChunks(submission);
    const admission = this.#admissions.plan({
      id,
      arrivedMs: this.#core.clock.wallMs(),
      reversePath,
      bodyKind,
      uid,
      prefix: nothing,
      body: octets > 0 ? id : 0,
      bodyOctets: octets,
      suffix: nothing,
      forwardPaths,
      dsns,
      ...(asked && !isDeepStrictEqual(asked, noOptions) && { options: asked }),
      chunks,
    });
    const answer: Answer = () => {
      channel.send(stored.encode(stream, { queueId: id }));
      return channel;
    };
    const settled = (outcome: Outcome<undefined>): void => {
      this.#letGo(submission, submission.heldOctets);
      if (outcome.kind === "done") {
        admission.admit();
      } else {
        admission.refuse();
        this.#drop(submission);
        channel.send(refused.encode(stream, { permanent: 0, status: outcome.status, text: outcome.text }));
      }
      if (!this.#core.active.get(id)?.body) for (const chunk of chunks) free(chunk.octets);
    };
    this.#core.committer.offer(admission.changes, settled, answer);
  }

  #letGo(submission: Submission, octets: number): void {
    const held = Math.min(octets, submission.heldOctets);
    submission.heldOctets -= held;
    this.#heldOctets -= held;
  }

  /** Nothing of it stays on disk, and in memory only what is being written, until it is. */
  #drop(submission: Submission): void {
    submission.ended = true;
    this.#letGo(submission, submission.heldOctets - submission.writingOctets);
    if (submission.chunks > 0) this.#core.committer.require([{ kind: "drop", body: submission.id }]);
  }
}

/** What of its body is not handed over yet. */
function lastChunks({ first, piece, chunks }: Submission): readonly Chunk[] {
  const pieces = [first, piece.take()].flatMap((octets) => (octets && octets.length > 0 ? octets : []));
  return pieces.map((octets, at) => ({ number: chunks + at, octets }));
}

const nothing = new Uint8Array(0);
const badAddress = permanent("1.3", `an address has control characters or more than ${maxAddressOctets} octets`);
const heldTooLong = permanent("5.4", `a message is held for ${maxHoldMs / 86_400_000} days at most`);
const crowded = temporary("3.1", "too much mail is coming in at once");

const emptySubmission = (): Submission => ({
  piece: new Piece(chunkOctets),
  first: undefined,
  id: 0,
  chunks: 0,
  octets: 0,
  unwritten: 0,
  writing: 0,
  writingOctets: 0,
  commit: undefined,
  ended: false,
  forwardPaths: [],
  dsns: new Map(),
  options: undefined,
  heldOctets: 0,
});
