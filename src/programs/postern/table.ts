export interface Column {
  readonly title: string;
  readonly align?: "right";
  /** May be cut, "…" at its end, when the lines are too wide for the terminal; no narrower than this. */
  readonly least?: number;
}

/** Rows as aligned columns under their titles, two blanks apart, no line longer than `columns` if cutting can help. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  mostColumns: number,
): string {
  const widths = columns.map(({ title }, at) =>
    rows.reduce((width, row) => Math.max(width, row[at]?.length ?? 0), title.length),
  );
  let excess = widths.reduce((sum, width) => sum + width + 2, -2) - mostColumns;
  // The widest gives way first, so that one long address does not cost the others their ends.
  while (excess > 0) {
    const widest = widestOf(columns, widths);
    if (widest === undefined) break;
    widths[widest] = (widths[widest] ?? 1) - 1;
    excess--;
  }
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ align }, at) => {
        const width = widths[at] ?? 0;
        const cell = cut(cells[at] ?? "", width);
        return align === "right" ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  return [line(columns.map(({ title }) => title)), ...rows.map(line)].join("\n");
}

function widestOf(columns: readonly Column[], widths: readonly number[]): number | undefined {
  let widest: number | undefined;
  for (const [at, { least }] of columns.entries()) {
    const width = widths[at] ?? 0;
    if (least !== undefined && width > least && width > (widest === undefined ? 0 : (widths[widest] ?? 0))) widest = at;
  }
  return widest;
}

const cut = (text: string, width: number): string => (text.length > width ? `${text.slice(0, width - 1)}…` : text);
