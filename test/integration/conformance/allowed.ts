/**
 * Differences between one server and the proxy that are meant: why, and what the proxy has to answer instead. A case
 * names its difference in the mark `@allowed`; one that no longer differs anywhere fails the test.
 */
export interface Allowed {
  readonly because: string;
  /** What the proxy's raw reply, Latin-1, has to match where it differs. */
  readonly proxy: RegExp;
}

export const ALLOWED: Readonly<Record<string, Allowed>> = {
  database: {
    because: 'a Redis Cluster has one database, number 0',
    proxy: /^-ERR /,
  },
  auth: {
    because: "a login where none is configured is refused in Envoy's words",
    proxy: /^-ERR Client sent AUTH, but no password is set/,
  },
  slots: {
    because: 'keys of one command have to be in one slot, unless the proxy splits the command',
    proxy: /^-CROSSSLOT /,
  },
};
