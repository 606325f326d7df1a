/**
 * What is made at its first use. A schema takes longer to make than to use, and a node that boots waits for neither the
 * schemas of messages that do not come nor, before it can act, for those of messages that do.
 */

/** Gives what `make` gives, which is called once: at the first use. */
export function lazily<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
