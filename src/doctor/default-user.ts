/** Whether a server would leave out transactions when it loads its append-only file. Pure. */

/**
 * From these versions on, servers load their append-only file without asking what the default user may do. Those before leave
 * out, without a word, each transaction that it may not do: what MULTI, and scripts that write more than once, have written.
 */
const RIGHT_FROM = { valkey: [9, 1, 2], redis: [8, 6, 0] } as const;

/**
 * @param info INFO of the section `server`
 * @param appendOnly what CONFIG GET appendonly answers
 * @param user what ACL GETUSER default answers
 * @returns false as well where any of it was not told
 */
export function leavesOutTransactions(info: string, appendOnly: unknown, user: unknown): boolean {
  if (!Array.isArray(appendOnly) || appendOnly[1] !== 'yes' || !Array.isArray(user)) return false;
  const version =
    /^(valkey)_version:(\d+)\.(\d+)\.(\d+)/m.exec(info) ?? /^(redis)_version:(\d+)\.(\d+)\.(\d+)/m.exec(info);
  if (version === null) return false;
  const right = RIGHT_FROM[version[1] as keyof typeof RIGHT_FROM];
  const own = version.slice(2).map(Number);
  const differs = own.findIndex((part, index) => part !== right[index]);
  if (differs < 0 || (own[differs] ?? 0) > (right[differs] ?? 0)) return false;
  return !has(user, 'commands', '+@all') || !has(user, 'keys', '~*');
}

/** Whether a field of ACL GETUSER has the rule as one of its words, and takes nothing away behind it. */
function has(user: readonly unknown[], field: string, rule: string): boolean {
  const value = user[user.indexOf(field) + 1];
  const words = (Array.isArray(value) ? value : [value]).join(' ').split(' ');
  return words.includes(rule) && !words.some((word) => word.startsWith('-'));
}
