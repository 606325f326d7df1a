/** Names that somebody may have meant. Pure. */

const MAX_SUGGESTIONS = 3;
const MAX_LENGTH = 200;

/** Those of `known` that are most like `name`: the same but for case or folder, or a few letters apart. */
export function similar(name: string, known: readonly string[]): string[] {
  const scored = [...new Set(known)]
    .filter((each) => each !== name)
    .map((each) => ({ each, score: score(name.toLowerCase(), each.toLowerCase()) }))
    .filter(
      ({ each, score: found }) => found <= Math.max(2, Math.floor(Math.min(each.length, name.length) / 5)),
    );
  return scored
    .sort((a, b) => a.score - b.score || (a.each < b.each ? -1 : 1))
    .slice(0, MAX_SUGGESTIONS)
    .map(({ each }) => each);
}

function score(a: string, b: string): number {
  if (a.split('/').at(-1) === b.split('/').at(-1)) return 1;
  return a.length > MAX_LENGTH || b.length > MAX_LENGTH ? MAX_LENGTH : distance(a, b);
}

/** Levenshtein's: letters added, removed or changed. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
