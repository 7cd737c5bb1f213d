/** The known word with the smallest edit distance to `word`: what a typing error most likely meant. */
export function nearest(word: string, known: readonly string[]): string {
  const ranked = known.map((candidate) => ({ candidate, distance: editDistance(word.slice(0, 64), candidate) }));
  ranked.sort((a, b) => a.distance - b.distance);
  return ranked[0]?.candidate ?? "";
}

/** `; did you mean "alice"?` where a known word is near enough to be a typing error, else nothing. */
export function didYouMean(word: string, known: readonly string[]): string {
  const found = nearest(word, known);
  const near = found !== "" && editDistance(word.slice(0, 64), found) <= Math.max(1, Math.floor(found.length / 3));
  return near ? `; did you mean ${JSON.stringify(found)}?` : "";
}

/** Two neighbours in the wrong order are one mistake, as a letter too many, too few or wrong is. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_unused, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = swapped ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY;
      next.push(Math.min(substitute, swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}
