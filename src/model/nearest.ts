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

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_unused, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
