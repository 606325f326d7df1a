/** What something that was thrown says: nearly always an Error, which nothing promises. */
export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
