/**
 * What a server says when it does not begin a job, or when one has failed: whether another attempt can help, whether
 * another way of moving can, and what an operator can do. Pure. The texts are those of Valkey 9.1 and Redis 8.6.
 */
import type { ErrorKind } from '../../../errors.js';
import type { SlotMove } from '../mover.js';

export interface Cause {
  readonly kind: ErrorKind;
  /** What goes by itself: views that differ for a moment, a connection that was lost. */
  readonly again: boolean;
  /** These nodes cannot move slots this way as they are set up; MIGRATE may. */
  readonly elsewise: boolean;
  /** In front of the server's own words. */
  readonly why: string;
  readonly next: string;
  /** The node to look at. */
  readonly at: 'source' | 'target';
}

type Rule = readonly [RegExp, Cause];

const refused = (why: string, next: string, at: Cause['at'] = 'source'): Cause => ({
  kind: 'refused',
  again: false,
  elsewise: false,
  why,
  next,
  at,
});

const RULES: readonly Rule[] = [
  [
    /\bAUTH\b|NOAUTH|WRONGPASS|authenticat/i,
    {
      kind: 'denied',
      again: false,
      elsewise: true,
      why: 'the one node is not let in by the other',
      next: 'Set primaryauth (masterauth), and primaryuser for an ACL user, on both to what the other asks for.',
      at: 'source',
    },
  ],
  [
    /NOPERM|unknown subcommand|unknown command/i,
    {
      kind: 'denied',
      again: false,
      elsewise: true,
      why: 'the command is not allowed or not known there',
      next: 'Give the ACL user CLUSTER with its subcommands.',
      at: 'source',
    },
  ],
  [
    /module/i,
    {
      ...refused('a module does not allow it', 'Look at MODULE LIST; leave --method away to move keys by MIGRATE.'),
      elsewise: true,
    },
  ],
  [
    /OOM|out of memory|maxmemory/i,
    refused(
      'the target has no memory left for the keys',
      'Give the target more memory, or move fewer slots.',
      'target',
    ),
  ],
  [
    /manually|STABLE/,
    refused('a slot of one of the nodes is open', 'Close it first: forge cluster check, then forge cluster fix.'),
  ],
  [
    /on replica|primary nodes|not a master|failover occurred|demoted/i,
    refused('the node has become a replica', 'Run the same command again: it finds the new master.'),
  ],
  [
    /user request|^cancelled$/i,
    refused(
      'somebody cancelled it',
      'Find out who did (the log of the node names the client), then run the command again.',
    ),
  ],
  [
    /Unable to connect|Failed to connect|Connection lost|Connection is closed|disconnected|timed? ?out|no interaction|did not respond|Read error/i,
    {
      kind: 'unreachable',
      again: true,
      elsewise: false,
      why: 'the nodes lost each other',
      next: 'Check that both run and reach each other at the ports in CLUSTER NODES (and tls-replication on both).',
      at: 'target',
    },
  ],
  [
    /snapshot|fork/i,
    {
      ...refused(
        'the source could not make its snapshot',
        'Look into its log: a fork needs memory (overcommit_memory).',
      ),
      again: true,
    },
  ],
  [
    /Failed to process command|stream into the DB/i,
    {
      ...refused(
        'the target did not take in what it was sent',
        'Let the user as which the nodes log in (primaryuser) run @write and select on all keys, and look into its log.',
        'target',
      ),
      elsewise: true,
    },
  ],
];

/** Everything that is not listed: ownership seen differently for a moment, a job already there, data flushed. */
const OTHERWISE: Cause = {
  kind: 'refused',
  again: true,
  elsewise: false,
  why: 'the server refused or gave up',
  next: 'Look into the logs of both nodes.',
  at: 'source',
};

export function causeOf(text: string): Cause {
  return RULES.find(([pattern]) => pattern.test(text))?.[1] ?? OTHERWISE;
}

/** The source let clients write again before it knew that the target had taken over. */
export function mayHaveLostWrites(text: string): boolean {
  return /lost writes|Write pause timeout/i.test(text);
}

export function nodeAt(move: SlotMove, cause: Cause): string {
  return move[cause.at].address;
}
