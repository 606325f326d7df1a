/** What is noted beside a base image, as JSON, and how people see one. */

export interface BaseView {
  name: string;
  /** Bytes. */
  size: number;
  /** SHA-256 of the content, lower-case hexadecimal. */
  digest: string;
  /** Bytes the image takes up on the imager's disk. */
  allocatedBytes: number;
  /** Why no disk over it is opened now, where that is known. */
  damage?: string;
}

export interface BaseRecord {
  size: number;
  digest: string;
  /** Of the image's file: inode number and time of the last change of its content, as text. */
  identity: string;
}

/** What a NAME.json says. Throws Error where it is not that. */
export function parseRecord(text: string): BaseRecord {
  const { size, digest, identity } = JSON.parse(text) as Record<keyof BaseRecord, unknown>;
  if (!Number.isSafeInteger(size) || typeof digest !== 'string' || !/^[0-9a-f]{64}$/.test(digest))
    throw new Error('its description has no size or no digest');
  return { size: Number(size), digest, identity: String(identity) };
}
