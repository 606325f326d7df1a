/**
 * What is looked at of a registry file before LMDB maps it: of a file that is none, or was cut short, LMDB reads on to
 * a segmentation fault, without a word of why. Pure.
 */

/** Of a meta page (lmdb.h, MDB_meta behind the page header), little-endian. */
const MAGIC = 24;
const VERSION = 28;
const PAGE_SIZE = 48;
const FREE_ROOT = 88;
const MAIN_ROOT = 136;
const LAST_PAGE = 144;
const TRANSACTION = 152;
const META_BYTES = 160;

const MAGIC_VALUE = 0xbeefc0de;
const VERSION_VALUE = 2;
/** The root of an empty tree. */
const NO_PAGE = 0xffff_ffff_ffff_ffffn;

/** Enough of a file's beginning for both meta pages, whatever the page size. */
export const HEAD_BYTES = 65_536 + META_BYTES;

/**
 * Why a file of `size` bytes that begins with `head` is no registry, in words; or how many bytes it has to have before LMDB
 * may open it. Its last pages may be missing in a sound file, which never wrote them: where they are not, what LMDB
 * finds in their place has to be zeroes, of which it says that the file is damaged.
 */
export function lmdbFault(head: Uint8Array, size: number): string | { length: number } {
  if (size === 0) return { length: 0 };
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const first = metaAt(view, 0);
  const second = first && metaAt(view, first.pageSize);
  if (first === undefined || second === undefined)
    return 'it does not begin as one: it was damaged, or is another file';
  const { roots, pageSize, lastPage } = first.transaction > second.transaction ? first : second;
  const length = (Number(lastPage) + 1) * pageSize;
  const isCut = roots.some((root) => root !== NO_PAGE && (root + 1n) * BigInt(pageSize) > BigInt(size));
  if (isCut || length > 2 * size)
    return `it ends at byte ${size}, before what it is to hold: it was cut short`;
  return { length };
}

function metaAt(
  view: DataView,
  at: number,
): { pageSize: number; roots: bigint[]; lastPage: bigint; transaction: bigint } | undefined {
  if (at + META_BYTES > view.byteLength) return undefined;
  if (view.getUint32(at + MAGIC, true) !== MAGIC_VALUE) return undefined;
  if (view.getUint32(at + VERSION, true) !== VERSION_VALUE) return undefined;
  return {
    pageSize: view.getUint32(at + PAGE_SIZE, true),
    roots: [FREE_ROOT, MAIN_ROOT].map((root) => view.getBigUint64(at + root, true)),
    lastPage: view.getBigUint64(at + LAST_PAGE, true),
    transaction: view.getBigUint64(at + TRANSACTION, true),
  };
}
