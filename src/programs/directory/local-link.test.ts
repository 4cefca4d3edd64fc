import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { Socket } from "node:net";
import { test } from "node:test";
import { askMailbox, exists, grant, mailboxAnswer } from "../../protocol/wire/directory.ts";
import { createFrameReader, type Frame } from "../../protocol/wire/frame.ts";
import { socketPair } from "../../services/kernel/sockets.ts";
import { createLocalLink, type LocalLink } from "./local-link.ts";

/** A `local` that comes now; hears two frames, and is ready to answer. */
async function come(link: LocalLink): Promise<{ readonly heard: readonly Frame[]; readonly socket: Socket }> {
  const pair = socketPair();
  if (pair.kind !== "done") throw new Error(pair.text);
  const [near, far] = pair.value.map((fd) => new Socket({ fd }));
  if (!near || !far) throw new Error("no sockets");
  link.attach(near);
  const read = createFrameReader();
  const heard: Frame[] = [];
  while (heard.length < 2) {
    const [chunk] = await once(far, "data");
    const frames = read(Buffer.from(chunk));
    if (frames !== "broken") heard.push(...frames.map((frame) => ({ ...frame, payload: Buffer.from(frame.payload) })));
  }
  return { heard, socket: far };
}

test("LocalLink.grant() waits for a local that comes later, and tells the one that comes after it again", async () => {
  const link = createLocalLink();
  const ticket = Buffer.alloc(32, 7);
  const granted = link.grant(ticket, "joe@a.test");
  for (const isLast of [false, true]) {
    const { heard, socket } = await come(link);
    assert.deepEqual(
      heard.map(({ type }) => type),
      [grant.type, askMailbox.type],
    );
    const [first, second] = heard;
    assert.deepEqual(first && grant.decode(first.payload), { ticket, address: "joe@a.test" });
    if (isLast) socket.write(mailboxAnswer.encode(second?.stream ?? 0, { answer: exists }));
    else socket.destroy();
    if (!isLast) continue;
    await granted;
    socket.destroy();
  }
});
