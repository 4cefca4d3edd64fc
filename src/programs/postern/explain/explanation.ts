import { networkInterfaces } from "node:os";
import { readSettings } from "../../../protocol/control/parse.ts";
import { done, type Outcome } from "../../../protocol/outcome.ts";
import { createRouter } from "../../../protocol/routing/router.ts";
import { readControlFiles } from "../../../services/control-folder/control-folder.ts";
import type { Layout } from "../../../services/layout/layout.ts";
import { explainFiles } from "./files.ts";
import { createPlaceFinder, type PlaceFinder, type Section, type Step } from "./place.ts";
import { explainReception } from "./reception.ts";
import { explainRemote } from "./remote.ts";
import { explainUser } from "./user.ts";

export interface Question {
  readonly layout: Layout;
  /** The client's IP address. */
  readonly client: string;
  readonly sender: string;
  readonly withDns: boolean;
}

export interface Explanation {
  readonly address: string;
  readonly sections: readonly Section[];
}

/** Follows an address through the code that decides about mail, and keeps what each rule said. Sends nothing. */
export async function explainAddress(address: string, question: Question): Promise<Outcome<Explanation>> {
  const { layout } = question;
  const files = readControlFiles(layout.control);
  if (files.kind !== "done") return files;
  const settings = readSettings(files.value);
  if (settings.kind !== "done") return settings;
  const find = createPlaceFinder(files.value, layout.users);
  const ipAddresses = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((one) => one.address));
  const reception = explainReception(address, question, settings.value, ipAddresses, find);
  if (reception.kind !== "done") return reception;
  const routed = explainRouting(reception.value.accepted ?? address, find, createRouter(settings.value));
  const sections = [reception.value.section, routed.section];
  if (routed.route.channel === "remote") {
    sections.push(await explainRemote(routed.route, settings.value, find, question.withDns));
    return done({ address, sections });
  }
  const user = await explainUser(routed.route.address, layout, settings.value, find);
  sections.push(user.section);
  if (user.route) sections.push(...explainFiles(user.route, routed.route.address, question.sender, settings.value));
  return done({ address, sections });
}

function explainRouting(address: string, find: PlaceFinder, router: ReturnType<typeof createRouter>) {
  const steps: Step[] = [];
  const route = router.route(address, (tried) => steps.push(find(tried)));
  const result =
    route.channel === "local" ? `delivered here, to ${route.address}` : `sent to another server, for ${route.address}`;
  return { route, section: { title: "Routing", steps, result } };
}

/** For people: a paragraph for each section, the deciding lines quoted. */
export function renderExplanation({ address, sections }: Explanation): string {
  const paragraphs = sections.map(({ title, steps, result }) => {
    const width = Math.max(0, ...steps.map(({ where }) => where.length));
    const lines = steps.map(({ where, text, says }) => {
      const words = [text, says].filter((part) => part !== undefined && part !== "");
      return `  ${where.padEnd(width)}  ${words.join("  → ")}`;
    });
    return [title, ...lines, `  ⇒ ${result}`].map(visible).join("\n");
  });
  return [visible(address), ...paragraphs].join("\n\n");
}

/** Nothing that a terminal would obey. */
const visible = (text: string): string => text.replace(/\p{Cc}/gu, "?");
