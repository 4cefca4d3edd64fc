import type { Socket } from "node:net";
import { keptAddress } from "../../protocol/address.ts";
import { done, type Failure, type Outcome, permanent, temporary } from "../../protocol/outcome.ts";
import { createQmqpReader, type QmqpPart } from "../../protocol/qmqp/request.ts";
import type { Submission } from "../../services/submission/queue-client.ts";

/** A request whose message has gone to `queue` already, and only wants its envelope. */
export interface Envelope {
  readonly reversePath: string;
  readonly forwardPaths: readonly string[];
}

/** Octets of addresses that all requests under way keep together, until they are complete. */
export interface Budget {
  octets: number;
}

/** What a string costs beside its octets. */
const stringOctets = 32;

/**
 * Reads one request and passes its message on as it comes. What is wrong with it is answered at its end, for a client
 * that still writes does not hear; from the fault on nothing of it is kept. `undefined` when the client went away.
 */
export async function readRequest(
  socket: Socket,
  submission: Submission,
  budget: Budget,
): Promise<Outcome<Envelope> | undefined> {
  const reader = createQmqpReader();
  const forwardPaths: string[] = [];
  let reversePath = "";
  let fault: Failure | undefined;
  let taken = 0;

  const take = async (part: QmqpPart): Promise<void> => {
    fault ??= faultOf(part);
    if (fault) submission.abandon();
    else if (part.kind === "body") await submission.write(part.octets);
    else if (part.kind === "reversePath") reversePath = keptAddress(part.text) ?? "";
    else if (part.kind === "forwardPath") {
      const forwardPath = keptAddress(part.text) ?? "";
      const octets = forwardPath.length + stringOctets;
      if (octets > budget.octets) fault = temporary("3.2", "too many recipients under way, try again later");
      else forwardPaths.push(forwardPath);
      taken += octets;
      budget.octets -= octets;
    }
  };
  try {
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      for (const part of reader(chunk as Buffer)) {
        await take(part);
        if (part.kind === "end" || part.kind === "broken") return fault ?? done({ reversePath, forwardPaths });
      }
    }
    return undefined;
  } finally {
    budget.octets += taken;
  }
}

function faultOf(part: QmqpPart): Failure | undefined {
  switch (part.kind) {
    case "body":
      if (part.octets.includes(0x0d)) return permanent("6.11", "the message holds a carriage return");
      return part.octets.includes(0) ? permanent("6.0", "the message holds a NUL") : undefined;
    case "reversePath":
      return keptAddress(part.text) === undefined ? strangeAddress : undefined;
    case "forwardPath":
      return part.text === "" || keptAddress(part.text) === undefined ? strangeAddress : undefined;
    case "overlong address":
      return strangeAddress;
    case "broken":
      return permanent("5.2", `this is not QMQP: ${part.why}`);
    case "end":
      return undefined;
    default:
      return part satisfies never;
  }
}

const strangeAddress = permanent("1.3", "sorry, I can't accept addresses like that");
