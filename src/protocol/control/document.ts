import { controlRows, describeBounds, describeDefault } from "./describe.ts";

const introduction = `# Control files

One setting each, in \`/etc/postern/control/\` (in embedded mode \`var/control/\`), in qmail's form. A file that is
missing has its default. A file that is not listed here, or has a value out of bounds, is an error at \`postern config
check\` and at start. After a change: \`postern reload\`; what \`supervise\` reads counts from the next start.

- *line*: the first line, without blanks at its end. An empty file is an empty value, not the default.
- *integer*: a number, in the unit and within the bounds given.
- *list*: one entry a line; empty lines and lines that begin with \`#\` do not count.
- *map*: a list of \`key:value\`; keys in any case, the last line of a key wins.

This page is made from the table in \`src/protocol/control/table.ts\`: change that, then \`npm run build\` and
\`node dist/programs/postern/document-controls.js\`.

| File | Kind | Default | May be | Read by | Since | Meaning |
| --- | --- | --- | --- | --- | --- | --- |
`;

/** docs/control-files.md, from the table of control files. */
export function controlDocument(): string {
  const lines = controlRows().map(([name, control]) =>
    [
      `\`${name}\``,
      control.kind,
      describeDefault(control),
      describeBounds(control),
      control.readBy.join(", "),
      control.since,
      control.meaning,
    ].map((cell) => cell.replaceAll("|", "\\|")),
  );
  return introduction + lines.map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}
