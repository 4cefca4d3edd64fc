import type { Duplex } from "node:stream";
import type { Frame } from "../../protocol/wire/frame.ts";
import {
  closeSession,
  inputCredit,
  inputType,
  opened,
  openSession,
  outputCredit,
  outputType,
  refusedSession,
  sessionEnded,
} from "../../protocol/wire/mailbox.ts";
import { createChannel } from "../../services/channel/channel.ts";
import { nodeFiles } from "../../services/maildir/files.ts";
import { removeStale } from "../../services/maildir/folder.ts";
import { noteChange } from "../../services/maildir/note-change.ts";
import { readMaildrop } from "./maildrop.ts";
import { createSession, type Session } from "./session.ts";

/** Serves the sessions of one Maildir, as `local` opens them over `socket`, until it closes the connection. */
export function serveSessions(socket: Duplex, folder: string, whenClosed: () => void): void {
  const sessions = new Map<number, Session>();
  const channel = createChannel(socket, {
    onFrame(frame) {
      const session = sessions.get(frame.stream);
      switch (frame.type) {
        case openSession.type:
          return session ? "broken" : open(frame);
        case inputType:
          return session?.input(frame.payload);
        case outputCredit.type: {
          const octets = outputCredit.decode(frame.payload)?.octets;
          return octets === undefined ? "broken" : session?.credit(octets);
        }
        case closeSession.type:
          sessions.delete(frame.stream);
          session?.close();
          return undefined;
        default:
          return "broken";
      }
    },
    onClose() {
      for (const session of sessions.values()) session.close();
      whenClosed();
    },
  });
  if (folder !== "") removeStale(nodeFiles, `${folder}/tmp`, Date.now(), (name) => !name.startsWith("."));

  function open({ stream, payload }: Frame): undefined | "broken" {
    const asked = openSession.decode(payload);
    if (!asked) return "broken";
    const drop = readMaildrop(folder);
    if (drop.kind !== "done") {
      channel.send(refusedSession.encode(stream, { text: drop.text }));
      return undefined;
    }
    channel.send(opened.encode(stream, {}));
    const session = createSession(drop.value, asked.logins, {
      onOutput: (text) => channel.pass(outputType, stream, Buffer.from(text, "latin1")),
      whenIdle: (work) => void setImmediate(work),
      onCredit: (octets) => channel.send(inputCredit.encode(stream, { octets })),
      onEnd(retrieved, { octets, messages }) {
        sessions.delete(stream);
        if (messages > 0) noteChange(nodeFiles, folder, { octets: -octets, messages: -messages });
        channel.send(sessionEnded.encode(stream, { retrieved, deleted: messages }));
      },
    });
    sessions.set(stream, session);
    return undefined;
  }
}
