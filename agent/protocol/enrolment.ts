/**
 * How connections between agents and imagers are secured: TLS 1.3 with a pre-shared key (RFC 8446 section 4.2.11). A node that
 * has a definition is known by its id and key; one that has none uses what is here.
 */

/** Bytes of every key. */
export const KEY_SIZE = 32;

/** Identity of nodes without a definition. */
export const ENROL_IDENTITY = 'enrol';

/**
 * Key of enrolment where the operator has set none. Everybody has it: it keeps what is said from those who only listen, and
 * authenticates nobody. Trust on first use: who is defined over it is known by its own key from then on.
 */
export const ENROLMENT_KEY: Uint8Array = new TextEncoder().encode('bootwright: enrolment, no secret');
