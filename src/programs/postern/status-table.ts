import { formatDuration, formatOctets } from "./quantity.ts";
import { type Column, renderTable } from "./table.ts";

const columns: readonly Column[] = [
  { title: "PROGRAM" },
  { title: "PID", align: "right" },
  { title: "UID", align: "right" },
  { title: "UP", align: "right" },
  { title: "RESTARTS", align: "right" },
  { title: "MEMORY", align: "right" },
  { title: "WALLS", least: 10 },
];

type Fields = Readonly<Record<string, unknown>>;

/** The answer of `supervise` for people. What is missing in it is shown as `-`. */
export function renderStatus(status: Fields, nowMs: number, mostColumns: number): string {
  const programs = listOf(status.programs);
  const rows = programs.map((program) => [
    show(program.name),
    show(program.pid),
    show(program.uid),
    program.pid === null ? "down" : formatDuration(Number(program.uptimeMs)),
    show(program.restarts),
    typeof program.memoryKiB === "number" ? formatOctets(program.memoryKiB * 1024) : "-",
    wallsOf(fieldsOf(program.walls)),
  ]);
  const octets = programs.reduce(
    (sum, { memoryKiB }) => sum + (typeof memoryKiB === "number" ? memoryKiB * 1024 : 0),
    0,
  );
  const up = formatDuration(nowMs - Date.parse(String(status.since)));
  const head = `postern in ${show(status.folder)}${status.embedded === true ? " (embedded)" : ""}: pid ${show(status.pid)}, up ${up}, programs ${formatOctets(octets)}`;
  const listeners = listOf(status.listeners).map(({ service, name }) => `  ${show(service).padEnd(10)}  ${show(name)}`);
  const whys = programs.flatMap(({ name, walls }) => {
    const { why } = fieldsOf(walls);
    return typeof why === "string" ? [{ name: show(name), why }] : [];
  });
  return [head, "", renderTable(columns, rows, mostColumns), ...whyNot(whys), "", "Listening:", ...listeners].join(
    "\n",
  );
}

/** Programs without all of their walls, those with the same reason together. */
function whyNot(whys: readonly { readonly name: string; readonly why: string }[]): readonly string[] {
  const byReason = Map.groupBy(whys, ({ why }) => why);
  const lines = [...byReason].map(
    ([why, programs]) => `  ${[...new Set(programs.map(({ name }) => name))].join(", ")}: ${why}`,
  );
  return lines.length === 0 ? [] : ["", "Not all walls are up:", ...lines];
}

function wallsOf(walls: Fields): string {
  const up = [
    walls.uid === true ? "user" : "",
    typeof walls.landlock === "number" ? `Landlock ${walls.landlock}` : "",
    walls.seccomp === true ? "seccomp" : "",
    walls.permission === true ? "permission" : "",
  ].filter((wall) => wall !== "");
  return up.length === 0 ? "none" : up.join(", ");
}

const fieldsOf = (value: unknown): Fields => (typeof value === "object" && value !== null ? (value as Fields) : {});
const listOf = (value: unknown): readonly Fields[] => (Array.isArray(value) ? value.map(fieldsOf) : []);
const show = (value: unknown): string => (value === null || value === undefined ? "-" : String(value));
