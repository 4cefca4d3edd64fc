#!/usr/bin/env node
import { runClientService } from "../../services/client-service/run.ts";
import { createSmtpService } from "./serve.ts";

runClientService(
  "smtpd",
  ({ settings, certificates, facts, log }) =>
    createSmtpService({
      settings,
      certificates,
      ipAddresses: Array.isArray(facts.ipAddresses) ? facts.ipAddresses.map(String) : [],
      processes: typeof facts.processes === "number" ? facts.processes : 1,
      log,
    }),
  ({ attachQueue, attachDirectory, attachHook }) => ({
    queue: attachQueue,
    directory: attachDirectory,
    hook: attachHook,
  }),
);
