/** The error for the operator: what failed, where the slots are now, and what to do. Pure. */

import { replyErrorOf } from '../../../cluster/node-failure.js';
import { formatSlots, slotsFrom } from '../../../cluster/slots.js';
import { type ErrorKind, ForgeError } from '../../../errors.js';
import type { NodeRef } from '../../step.js';
import { ConflictError, type FailureKind, kindOfFailure, type Settlement, showKeys } from './failures.js';
import { type PairNodes, roleDetails } from './pair.js';

const RANGES_SHOWN_MAX = 8;
/** How a source passes on what the target has answered to it. */
const TARGET_REPLIED = 'Target instance replied with error';

interface Words {
  readonly kind: ErrorKind;
  /** @param who the one of both that it is about, where that is known */
  readonly what: (pair: PairNodes, text: string, who: NodeRef | undefined) => string;
  readonly next: (pair: PairNodes, text: string, who: NodeRef | undefined) => string;
}

const sentence = (text: string) => (/[.!?]$/.test(text) ? text : `${text}.`);

/** The one of both that failed: the node that answered an error of its own, or did not answer this host. */
function whoFailed({ source, target }: PairNodes, error: unknown): NodeRef | undefined {
  const reply = replyErrorOf(error);
  if (reply?.includes(TARGET_REPLIED)) return target;
  // The source could not write to the target, or read its answer: either, or the network between them.
  if (reply?.includes('IOERR')) return undefined;
  const host = error instanceof ForgeError ? error.host : undefined;
  return [source, target].find(({ address }) => address === host);
}

const WORDS: Record<Exclude<FailureKind, 'busy' | 'mixed'>, Words> = {
  full: {
    kind: 'refused',
    what: ({ target }) => `${target.address} is full: it refuses keys because of its maxmemory.`,
    next: ({ target }) => `Give ${target.address} more maxmemory, or move fewer slots to it.`,
  },
  later: {
    kind: 'unreachable',
    what: ({ target }, text, who = target) => `${who.address} did not become ready in time: ${sentence(text)}`,
    next: ({ target }, text, who = target) =>
      /\bCLUSTERDOWN\b/.test(text)
        ? `${who.address} serves again when it reaches most masters: check that all run, and reach each other's cluster bus ports.`
        : 'Wait until it has loaded, and no script or command blocks it.',
  },
  lost: {
    kind: 'unreachable',
    what: ({ source, target }, text, who) =>
      `${who === undefined ? `The way from ${source.address} to ${target.address}` : who.address} was lost: ${sentence(text)}`,
    next: ({ source, target }, _, who) => {
      const reach = `${source.address} can connect to ${target.address} (firewall, tls-cluster, cluster-announce-ip)`;
      if (who === undefined) return `Check that both run, and that ${reach}.`;
      // While it sends keys it waits for the target.
      const also = who.id === source.id ? `, and that ${reach}` : '';
      return `Check that ${who.address} runs and answers this host${also}.`;
    },
  },
  unmarked: {
    kind: 'refused',
    what: (_, text) => `The slots were marked otherwise meanwhile: ${sentence(text)}`,
    next: () => 'Check that nobody else moves slots.',
  },
  denied: {
    kind: 'denied',
    what: ({ source, target }, text) => `${source.address} may not send keys to ${target.address}: ${sentence(text)}`,
    next: () => 'The same user and password must be valid on both, with the right to MIGRATE and RESTORE-ASKING.',
  },
  foreign: {
    kind: 'refused',
    what: ({ source, target }) =>
      `${target.address} cannot read the data of ${source.address}: it is of an older version.`,
    next: ({ target }) => `Upgrade ${target.address}.`,
  },
  other: { kind: 'refused', what: (_, text) => sentence(text), next: () => 'Look into the logs of both nodes.' },
};

/** @param settlement where the slots in hand are now */
export function explain(pair: PairNodes, error: unknown, settlement: Settlement): ForgeError {
  const { kind, message, next } = whatFailed(pair, error);
  const open = [...settlement.open, ...settlement.stuck];
  const details = {
    ...roleDetails(error),
    ...(settlement.back.length > 0 ? { back: settlement.back } : {}),
    ...(open.length > 0 ? { open } : {}),
    ...(error instanceof ConflictError ? { keys: error.keys.map((key) => key.toString('utf8')) } : {}),
  };
  return new ForgeError(kind, `${message} ${whereTheyAre(pair, settlement)}`.trim(), {
    host: (whoFailed(pair, error) ?? pair.target).address,
    next: [...next, ...nextFor(pair, settlement)],
    details,
    cause: error,
  });
}

function whatFailed(pair: PairNodes, error: unknown): { kind: ErrorKind; message: string; next: string[] } {
  const [source, target] = [pair.source.address, pair.target.address];
  if (error instanceof ConflictError) {
    return {
      kind: 'refused',
      message: `${source} and ${target} have different values of ${showKeys(error.keys)} (slot ${error.slot}).`,
      next: [
        `Compare them; clients see those of ${source}. The same command with --keep owner keeps these, with --keep other those of ${target}.`,
      ],
    };
  }
  const known = kindOfFailure(error);
  if (known === undefined && error instanceof ForgeError) return error;
  const kind = known ?? 'other';
  const words = WORDS[kind === 'busy' || kind === 'mixed' ? 'other' : kind];
  const text = error instanceof Error ? error.message : String(error);
  const who = whoFailed(pair, error);
  return { kind: words.kind, message: words.what(pair, text, who), next: [words.next(pair, text, who)] };
}

const shown = (slots: readonly number[]) => formatSlots(slotsFrom(slots), RANGES_SHOWN_MAX);

function whereTheyAre({ source, target }: PairNodes, { back, open, stuck, kept }: Settlement): string {
  return [
    back.length === 0 ? '' : `Slots in hand went back to ${source.address}: ${shown(back)}.`,
    open.length === 0
      ? ''
      : `Still open, because some of their keys may be on a node that does not answer: ${shown(open)}.`,
    stuck.length === 0
      ? ''
      : `Still open, because ${source.address} did not take back what had arrived: it is full, too: ${shown(stuck)}.`,
    kept.length === 0 ? '' : `${target.address} keeps its own values of ${showKeys(kept)}.`,
  ]
    .filter(Boolean)
    .join(' ');
}

function nextFor({ source, target }: PairNodes, { open, stuck }: Settlement): string[] {
  return [
    ...(stuck.length === 0 ? [] : [`Give ${source.address} more maxmemory as well, when the slots are to go back.`]),
    ...(open.length === 0
      ? []
      : [`Start the node again first: keys that only ${target.address} has are not lost while its data is there.`]),
  ];
}

/** The same failure, with the slots that nobody could close: the lock was lost while they were on their way. */
export function abandoned(error: unknown, slots: readonly number[]): unknown {
  if (!(error instanceof ForgeError) || slots.length === 0) return error;
  return new ForgeError(error.kind, `${error.message} Left as they are, some of them open: slots ${shown(slots)}.`, {
    host: error.host,
    next: error.next,
    details: { ...error.details, open: [...slots] },
    cause: error,
  });
}
