#!/usr/bin/env node
import { done, permanent } from "../../protocol/outcome.ts";
import { runProgram } from "../../services/program/program.ts";
import { createHook } from "./serve.ts";
import { readTerms } from "./terms.ts";

runProgram("hook", async ({ settings, facts, log }) => {
  const { folder, home, root } = facts;
  if (typeof folder !== "string" || typeof home !== "string" || typeof root !== "string") {
    return permanent("3.5", "not told where to work");
  }
  const orderFor = readTerms(settings, root);
  if (orderFor.kind !== "done") return orderFor;
  const hook = createHook({ folder, home, orderFor: orderFor.value });
  return done({
    peer: (_name, socket) => hook.attach(socket),
    reload(fresh) {
      const read = readTerms(fresh, root);
      if (read.kind === "done") hook.reorder(read.value);
      else log({ event: "warning", text: `old settings kept: ${read.text}` });
    },
    stop: hook.stop,
  });
});
