const GAP = "   ";

/** Left-aligned columns, three spaces apart, as kubectl prints them. Control characters cannot reach the terminal. */
export function printTable(titles: readonly string[], rows: readonly (readonly string[])[], header = true): string {
  return renderRows(header ? [titles, ...rows] : rows, columnWidths([titles, ...rows]));
}

export function columnWidths(rows: readonly (readonly string[])[]): number[] {
  const widths: number[] = [];
  for (const row of rows)
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, visible(cell).length);
  return widths;
}

export function renderRows(rows: readonly (readonly string[])[], widths: readonly number[]): string {
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, i) => visible(cell).padEnd(widths[i] ?? 0))
          .join(GAP)
          .trimEnd()}\n`,
    )
    .join("");
}

/** The text without what would steer a terminal. */
export function visible(text: string): string {
  return text.replace(/\p{Cc}/gu, (char) => (char === "\n" ? " " : "\ufffd"));
}
