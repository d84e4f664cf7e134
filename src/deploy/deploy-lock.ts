/** Placeholder until below. */
export const LOCK_ROLE = 'lock';
