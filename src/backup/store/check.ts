/** What a store is tried with before anybody relies on it. */

/** No key of a backup begins so. */
export const CHECK_KEY = '.forge-check';
/** Always the same: two that try at once do not see each other. */
export const CHECK_CONTENT = Buffer.from('redisforge\n');
