/** What a run tells of itself while it works: for progress on the screen, and for its log. */

export type BackupEvent =
  /** The backup has its id, and its place has taken the first file of it. */
  | { readonly type: 'begun'; readonly id: string; readonly place: string }
  /** What dead runs had left was removed. */
  | { readonly type: 'swept'; readonly ids: readonly string[] }
  /** Slots are on their way, or a master is being replaced: the run waits, so long at most. */
  | { readonly type: 'waiting'; readonly reason: string; readonly leftMs: number }
  /** How many shards are read now, and for the how manyth time: slots moved while the others were read. */
  | { readonly type: 'reading'; readonly shards: number; readonly round: number }
  | {
      readonly type: 'shard-begun';
      readonly name: string;
      readonly master: string;
      readonly source: string;
      readonly role: 'master' | 'replica';
      readonly kind: 'network' | 'files';
      /** Keys that are to be expected. */
      readonly keys: number;
    }
  /** A few times a second at most. */
  | { readonly type: 'shard-progress'; readonly name: string; readonly bytes: number; readonly keys?: number }
  /** Its source broke off, and another is tried. */
  | { readonly type: 'shard-failed'; readonly name: string; readonly source: string; readonly reason: string }
  | {
      readonly type: 'shard-done';
      readonly name: string;
      readonly master: string;
      readonly source: string;
      readonly keys: number;
      /** Before compression, and as stored. */
      readonly plainBytes: number;
      readonly bytes: number;
      readonly replicationId: string;
      readonly offset: number;
    }
  /** Something that the reader should know although the run goes on. */
  | { readonly type: 'warning'; readonly text: string };

export type BackupObserver = (event: BackupEvent) => void;
