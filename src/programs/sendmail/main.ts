#!/usr/bin/env node
import { once } from "node:events";
import { userInfo } from "node:os";
import { readSettings } from "../../protocol/control/parse.ts";
import { done, type Failure, type Outcome, permanent } from "../../protocol/outcome.ts";
import { createRules } from "../../protocol/routing/rules.ts";
import type { Rules } from "../../protocol/smtp/session.ts";
import { readControlFiles } from "../../services/control-folder/control-folder.ts";
import { complete, type Environment } from "../../services/injection/inject.ts";
import { maxInjectedOctets, readMessage } from "../../services/injection/read-message.ts";
import { submit } from "../../services/injection/submit.ts";
import { findLayout } from "../../services/layout/find-layout.ts";
import type { Layout } from "../../services/layout/layout.ts";
import { parseSendmailOptions, type SendmailOptions, sendmailUsage } from "./command-line.ts";
import { exitCode } from "./exit-code.ts";

process.exitCode = await run();

async function run(): Promise<number> {
  const options = parseSendmailOptions(process.argv.slice(2));
  if (options.kind !== "done") return fail(options);
  switch (options.value.mode) {
    case "send":
      return await send(options.value);
    case "serve":
      return await serve(options.value);
    case "list queue":
    case "run queue":
      return await queue(options.value);
    case "nothing": // newaliases: there is no such data base
      return 0;
    case "help":
      process.stdout.write(sendmailUsage);
      return 0;
    default:
      return options.value.mode satisfies never;
  }
}

async function send(options: SendmailOptions): Promise<number> {
  const wishes = {
    recipientsFrom: options.fromHeader ? "both" : "arguments",
    arguments: options.recipients,
    reversePath: options.reversePath,
  } as const;
  if (!options.fromHeader && options.recipients.length === 0) {
    return fail(permanent("5.1", "no recipients: name them as arguments, or use -t"));
  }
  const layout = findLayout(options.root, process.env);
  const message = await readMessage(process.stdin);
  if (message.kind !== "done") return fail(message);
  const completed = complete(message.value, wishes, environmentOf(options), layout);
  if (completed.kind !== "done") return fail(completed);
  if (completed.value.forwardPaths.length === 0) return fail(permanent("5.1", "no recipients in the header"));
  const submitted = await submit(completed.value, layout, process.env);
  return submitted.kind === "done" ? 0 : fail(submitted);
}

/** As smtpd would serve a client that may relay: who may start us may send. */
async function serve({ root }: SendmailOptions): Promise<number> {
  const layout = findLayout(root, process.env);
  const rules = rulesOf(layout);
  if (rules.kind !== "done") return fail(rules);
  const { serveSmtp } = await import("./serve.ts");
  await serveSmtp({
    input: process.stdin,
    async say(text) {
      if (!process.stdout.write(text, "latin1")) await once(process.stdout, "drain");
    },
    rules: rules.value,
    handIn: (body, reversePath, forwardPaths) =>
      submit({ header: "", body, reversePath, forwardPaths }, layout, process.env),
  });
  return 0;
}

function rulesOf({ control }: Layout): Outcome<Rules> {
  const files = readControlFiles(control);
  const settings = files.kind === "done" ? readSettings(files.value) : files;
  const rulesFor = settings.kind === "done" ? createRules({ ...settings.value, smtprules: [] }, []) : settings;
  if (rulesFor.kind !== "done") return rulesFor;
  const rules = rulesFor.value("127.0.0.1");
  if (rules === "denied") return permanent("7.1", "this host may not send mail");
  const maxMessageOctets = Math.min(rules.maxMessageOctets, maxInjectedOctets);
  return done({ ...rules, mayRelay: true, relaySuffix: "", maxMessageOctets });
}

async function queue({ mode, root }: SendmailOptions): Promise<number> {
  const { listQueue, runQueue } = await import("./queue.ts");
  const layout = findLayout(root, process.env);
  const text = await (mode === "list queue" ? listQueue(layout) : runQueue(layout));
  if (text.kind !== "done") return fail(text);
  process.stdout.write(text.value);
  return 0;
}

/** A sender named by -f is the author of a message without From, too; and -F is the author's name. */
function environmentOf({ reversePath, name }: SendmailOptions): Environment {
  const environment: Record<string, string | undefined> = { ...process.env };
  if (environment.USER === undefined && environment.LOGNAME === undefined) environment.USER = ownName();
  if (reversePath) {
    for (const variable of ["QMAILNAME", "MAILNAME", "NAME", "QMAILHOST", "MAILHOST"]) delete environment[variable];
    const at = reversePath.lastIndexOf("@");
    environment.QMAILUSER = at < 0 ? reversePath : reversePath.slice(0, at);
    if (at >= 0) environment.QMAILHOST = reversePath.slice(at + 1);
  }
  if (name !== undefined) environment.QMAILNAME = name;
  return environment;
}

/** Daemons call us without USER or LOGNAME; a container's user may have a number and no name. */
function ownName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}

function fail(failure: Failure): number {
  process.stderr.write(`sendmail: ${failure.text}\n`, "latin1");
  return exitCode(failure);
}
