/** What the documentation has people type is there, with the options it names. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { controls } from "../../src/protocol/control/table.ts";
import { runPostern, tree } from "../support/server.ts";

const pages = ["README.md", ...readdirSync(join(tree, "docs")).map((name) => `docs/${name}`)]
  .filter((name) => name.endsWith(".md"))
  .map((name) => ({ name, text: readFileSync(join(tree, name), "utf8") }));
const manual = readFileSync(join(tree, "docs/man/postern.8"), "latin1");

const helps = new Map<string, Promise<string>>();
/** What `postern COMMAND --help` says; "" when there is no such command. */
function helpOf(command: string): Promise<string> {
  const known = helps.get(command) ?? runPostern([command, "--help"]).then((ran) => (ran.code === 0 ? ran.stdout : ""));
  helps.set(command, known);
  return known;
}

/** Commands whose second word is an action. */
const withActions = ["queue", "config", "domain", "user", "alias", "app-password", "import"];

/** `postern ...` in what is indented as code, and between backticks; without comments in brackets and behind `#`. */
const commandsIn = (text: string): readonly string[] =>
  [...text.matchAll(/^ {4,}(?:bin\/)?postern (.+)$|`(?:bin\/)?postern ([^`]+)`/gm)]
    .map(([, line = "", inline = ""]) => (line || inline).replace(/#.*|[()[\]]| {3,}.*/g, "").replaceAll("\n", " "))
    .filter((command) => /^[a-z]/.test(command));

for (const { name, text } of pages) {
  const commands = commandsIn(text);
  if (commands.length > 0) {
    test(`${name}: each postern command is there, with its options`, async () => {
      for (const words of commands.map((command) => command.trim().split(/\s+/))) {
        const [command = "", action = ""] = words;
        const help = await helpOf(command);
        assert.notEqual(help, "", `postern ${words.join(" ")}`);
        const actions = withActions.includes(command) && /^[a-z]/.test(action) ? action.split("|") : [];
        for (const word of [...actions, ...words.filter((each) => each.startsWith("--") && each !== "--help")]) {
          assert.ok(help.includes(word.split("=")[0] ?? ""), `postern ${words.join(" ")}: ${word}`);
        }
      }
    });
  }

  test(`${name}: each page it leads to is there, down to the heading`, () => {
    for (const [, path = "", heading = ""] of text.matchAll(/\]\((?!https?:)([^)#]*)#?([^)]*)\)/g)) {
      const target = path === "" ? join(tree, name) : join(tree, dirname(name), path);
      assert.ok(existsSync(target), path);
      if (heading === "") continue;
      const anchors = [...readFileSync(target, "utf8").matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
        anchorOf(title),
      );
      assert.ok(anchors.includes(heading), `${path}#${heading}`);
    }
  });
}

/** As the pages that show Markdown make them. */
const anchorOf = (title: string): string =>
  title
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");

/** Those of other programs, and of a qmail that is taken over, are named in these. */
const aboutOthers = ["docs/from-qmail.md", "docs/differences.md", "docs/tools.md"];
for (const { name, text } of pages.filter((page) => !aboutOthers.includes(page.name))) {
  test(`${name}: each control file it names is one`, () => {
    const named = [...text.matchAll(/\bcontrol\/([a-z0-9]+)\b(?![./])|config (?:set|get|explain) ([a-z0-9]+)/g)];
    for (const [, file = "", setting = ""] of named)
      assert.ok(Object.hasOwn(controls, file || setting), file || setting);
  });
}

test("postern.8: each command and option is there, and no command is left out", async () => {
  const listed = [...manual.matchAll(/^\.It Cm (.+)$/gm)].flatMap(([, names = ""]) => names.split(" , "));
  const all = [...(await runPostern(["--help"])).stdout.matchAll(/^ {2}([a-z][a-z0-9-]+) {2,}/gm)].map(
    ([, name = ""]) => name,
  );
  const own = ["inject", "sendmail", "version"]; // have pages of their own, or need none
  assert.deepEqual(
    all.filter((name) => !own.includes(name) && !listed.some((each) => each.split(" ")[0] === name)),
    [],
  );
  const help = `--help ${(await Promise.all(all.map(helpOf))).join("\n")}`;
  for (const [, option = ""] of manual.matchAll(/\.?\bFl -([a-z-]+)/g)) assert.ok(help.includes(`--${option}`), option);
});
