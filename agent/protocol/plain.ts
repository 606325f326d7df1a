/** Texts on their way to a terminal. Nodes, their stores, and what others sent choose some of them: none may steer it. */

/** Without control characters (C0, DEL and C1); newlines stay. */
export function plain(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n]/gu, '?');
}

/** The same JSON without control characters: what JSON.stringify leaves of them stands inside texts. */
export function plainJson(json: string): string {
  return json.replaceAll(/[\u007f-\u009f]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`);
}
