import { connect } from "node:net";
import { done, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { askLogin, findAccount, type LoginQuestion, loginAnswer } from "../../protocol/wire/login.ts";
import { createChannel } from "../../services/channel/channel.ts";
import { displayPath } from "../../services/layout/find-layout.ts";
import { pathOf } from "../../services/maildir/file.ts";

/** Whose mail lies where. */
export interface Account {
  /** As it is written, octets. */
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  /** The Maildir, which may not be there yet. */
  readonly maildir: string;
  /** In the form of `maildirsize`, "" for none. */
  readonly quota: string;
}

/** `authd` gives up before. */
const longestMs = 65_000;

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "postern does not run, or control/authsocket is not 1",
  ECONNREFUSED: "postern does not run",
  EACCES: "only root and the group postern-auth may ask",
};

/** Asks `authd` at `path`. Fails for good when the answer is no; never rejects. */
export function askAuthd(path: string, { account, password, address }: LoginQuestion): Promise<Outcome<Account>> {
  const { promise, resolve } = Promise.withResolvers<Outcome<Account>>();
  const socket = connect({ path });
  let trouble = "no answer";
  socket.on("error", ({ code = "", message }: NodeJS.ErrnoException) => {
    trouble = reasons[code] ?? message;
  });
  const channel = createChannel(socket, {
    onFrame({ type, payload }) {
      const answer = type === loginAnswer.type ? loginAnswer.decode(payload) : undefined;
      resolve(answer ? outcomeOf(answer) : temporary("3.0", "the answer is none"));
      return answer ? undefined : "broken";
    },
    onClose: () => resolve(temporary("3.0", `cannot ask at ${displayPath(path)}: ${trouble}`)),
  });
  channel.send(password ? askLogin.encode(0, { account, password, address }) : findAccount.encode(0, { account }));
  const clock = setTimeout(() => channel.close(), longestMs);
  return promise.finally(() => {
    clearTimeout(clock);
    channel.close();
  });
}

function outcomeOf(answer: NonNullable<ReturnType<typeof loginAnswer.decode>>): Outcome<Account> {
  const { letter, account: name, uid, gid, home, folder, quota } = answer;
  if (letter === "D") return permanent("7.8", "wrong name or password");
  const isAccount = name !== "" && home.startsWith("/") && folder.startsWith("/");
  if (letter !== "K" || !isAccount) return temporary("3.0", "nobody can tell now");
  return done({ name, uid, gid, home: pathOf(home), maildir: pathOf(folder), quota });
}
