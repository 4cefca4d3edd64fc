import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { cannotTell, exists, type LoginEnd } from "../../protocol/wire/directory.ts";
import { type LoginQuestion, loginAnswer, parseLoginQuestion } from "../../protocol/wire/login.ts";
import { createChannel } from "../../services/channel/channel.ts";
import type { Forget } from "../../services/channel/streams.ts";
import type { DirectoryClient, Place } from "../../services/directory-client/directory-client.ts";

/** Longer than `directory` takes for any answer. */
const longestMs = 60_000;

/** Answers one question of a caller on this host over `socket`, and waits for `directory` if it is not there. */
export function serveCaller(socket: Socket, directory: DirectoryClient): void {
  let hasAsked = false;
  let forget: Forget = () => {};
  const clock = setTimeout(() => channel.close(), longestMs);
  const channel = createChannel(socket, {
    onFrame(frame) {
      const question = hasAsked ? undefined : parseLoginQuestion(frame);
      if (!question) return "broken";
      hasAsked = true;
      if (directory.isUp) ask(question);
      else forget = directory.whenUp(() => ask(question));
      return undefined;
    },
    onClose() {
      clearTimeout(clock);
      forget();
    },
  });

  function ask({ account, password, address }: LoginQuestion): void {
    if (!password) {
      locate(account);
      return;
    }
    const { cancel } = directory.login(
      {
        ...{ service: "imap", mechanism: "PLAIN", address, exporter: undefined },
        initial: Buffer.concat([Buffer.from(`\0${account}\0`, "latin1"), password]),
      },
      { onChallenge: giveUp, onEnd: conclude },
    );
    forget = cancel;
  }

  /** PLAIN has said all it has to say. */
  function giveUp(): void {
    forget();
    answer("Z");
  }

  function conclude(end: LoginEnd): void {
    if (end.letter === "K") locate(end.account);
    else answer(end.letter);
  }

  function locate(account: string): void {
    forget = directory.askPlace(account, (place) => {
      if (place.answer === exists) answer("K", account, place);
      else answer(place.answer === cannotTell ? "Z" : "D");
    });
  }

  function answer(letter: LoginEnd["letter"], account = "", { uid, gid, home, folder, quota }: Place = nowhere): void {
    channel.send(loginAnswer.encode(0, { letter, account, uid, gid, home, folder, quota }));
  }
}

const nowhere: Place = { answer: cannotTell, uid: 0, gid: 0, home: "", folder: "", quota: "" };
