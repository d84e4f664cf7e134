/** How a container takes changes of its files: while it runs, or by a new one in its place. */

export interface FileChange {
  readonly path: string;
  /** Undefined: it is not there. */
  readonly before?: string;
  readonly after?: string;
  /** It is there, and a run was ended before whoever runs in the container was told all of it: it is to be told again. */
  readonly again?: true;
}

/** What is told to whoever runs in the container, after its files are there. */
export interface LiveChange {
  /** A command of Redis, given on standard input; or a program of the container with its arguments. */
  readonly to: 'redis' | 'program';
  /** Of Redis's, some hold secrets: they are never shown. */
  readonly words: readonly string[];
  /** What is shown of it. */
  readonly shown: string;
}

export type FileEffect =
  | { readonly kind: 'live'; readonly changes: readonly LiveChange[] }
  | { readonly kind: 'replace'; readonly reasons: readonly string[] };
