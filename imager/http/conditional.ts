/** Conditional requests by entity tag (RFC 9110 section 13): a copy that is still good is not sent again. Pure. */

/** The entity tag of a file: `version` names its bytes and holds no quote. Strong (RFC 9110 section 8.8.3). */
export function entityTag(version: string): string {
  return `"${version}"`;
}

/** One tag of a list, weak or strong; what is between the quotes may hold commas. */
const TAG = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g;

/**
 * True where an If-None-Match header names `tag`, so that the answer is 304. Compared weakly (section 13.1.2): `W/` does
 * not count. A header that is no list of tags names none.
 */
export function isKnown(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === '*') return true;
  return (header.match(TAG) ?? []).some((known) => known.replace(/^W\//, '') === tag);
}

/**
 * True where a Range header counts beside this If-Range header (section 13.1.5): the part is wanted of the file with
 * that tag alone, compared strongly. A date never fits, since dates are not sent.
 */
export function rangeCounts(header: string | undefined, tag: string | undefined): boolean {
  return header === undefined || (tag !== undefined && header.trim() === tag);
}
