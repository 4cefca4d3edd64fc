import type { Socket } from "node:net";
import { askRecipient, cannotTell, recipientAnswer } from "../../protocol/wire/directory.ts";
import type { Frame } from "../../protocol/wire/frame.ts";
import { createChannel } from "../../services/channel/channel.ts";

export interface Desk {
  readonly askRecipient: (address: string) => Promise<number>;
}

/** Questions of one peer under way at once; to more the answer is "cannot tell". */
const maxOpen = 10_000;
/** Answers that a peer does not read. */
const maxUnreadOctets = 16_777_216;

/** Answers what a receiving program asks over `socket`, until it closes. */
export function serveClient(socket: Socket, desk: Desk): void {
  const open = new Set<number>();
  const channel = createChannel(socket, {
    onFrame(frame) {
      if (open.has(frame.stream) || channel.pendingOctets > maxUnreadOctets) return "broken";
      return frame.type === askRecipient.type ? answerRecipient(frame) : "broken";
    },
    onClose: () => open.clear(),
  });

  function answerRecipient({ stream, payload }: Frame): undefined | "broken" {
    const question = askRecipient.decode(payload);
    if (!question) return "broken";
    const answer = (value: number): void => channel.send(recipientAnswer.encode(stream, { answer: value }));
    if (open.size >= maxOpen) {
      answer(cannotTell);
      return undefined;
    }
    open.add(stream);
    void desk.askRecipient(question.address).then((value) => {
      if (open.delete(stream)) answer(value);
    });
    return undefined;
  }
}
