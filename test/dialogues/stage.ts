import { createSmtpService, type SmtpService } from "../../src/programs/smtpd/serve.ts";
import { readSettings } from "../../src/protocol/control/parse.ts";
import type { Event } from "../../src/protocol/event/event.ts";
import type { CertificateFiles } from "../../src/services/tls/certificate.ts";
import { FakeDirectory } from "./fake-directory.ts";
import { FakeQueue } from "./fake-queue.ts";

const octets = (text: string): string => Buffer.from(text).toString("latin1");

/** The control files that the dialogues of `plain/` ask for. */
export const plainControl: Readonly<Record<string, string>> = { me: "localhost" };
/** Those that the dialogues of `limits/` ask for: the client is a stranger, and little is allowed. */
export const limitsControl: Readonly<Record<string, string>> = {
  me: "localhost",
  relayclients: "192.0.2.0/24",
  badmailfrom: "bad@sender.example\n@worse.example\n",
  virtualdomains: `virtual.example:v\n.wild.example:w\nexempt.wild.example:\n${octets("müller.example:m\n.müller.example:m\n")}`,
  databytes: "1000",
  maxrecipients: "100",
  maxhops: "10",
};

export interface Stage extends AsyncDisposable {
  readonly service: SmtpService;
  readonly queue: FakeQueue;
  readonly directory: FakeDirectory;
  readonly port: number;
  readonly events: readonly Event[];
}

export interface StageOptions {
  /** Of the listener. */
  readonly service?: "smtp" | "submission" | "smtps" | "lmtp";
  readonly certificates?: readonly CertificateFiles[];
}

/** smtpd's service on a loopback port in this process, with a queue in memory. Its clock stands still. */
export async function openStage(
  control: Readonly<Record<string, string>>,
  { service: name = "smtp", certificates = [] }: StageOptions = {},
): Promise<Stage> {
  const settings = readSettings(new Map(Object.entries(control)));
  if (settings.kind !== "done") throw new Error(settings.text);
  const events: Event[] = [];
  const log = (event: Event): void => void events.push(event);
  const created = createSmtpService({
    settings: settings.value,
    certificates,
    ipAddresses: ["127.0.0.1"],
    processes: 1,
    log,
  });
  if (created.kind !== "done") throw new Error(created.text);
  const service = created.value;
  const listening = await service.listen({ port: 0, host: "127.0.0.1" }, name);
  if (listening.kind !== "done") throw new Error(listening.text);
  const address = listening.value.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const queue = new FakeQueue();
  await queue.connect(service.attachQueue);
  const directory = new FakeDirectory();
  await directory.connect(service.attachDirectory);
  return {
    service,
    queue,
    directory,
    port: address.port,
    events,
    async [Symbol.asyncDispose]() {
      for (let seconds = 0; seconds < 700; seconds++) service.tick();
      await service.stop();
      await queue.hangUp();
      await directory.hangUp();
    },
  };
}
