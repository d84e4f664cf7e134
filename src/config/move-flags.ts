/** Flags of commands that move slots. */
import { Flags } from '@oclif/core';
import { ForgeError } from '../errors.js';

const KIB = 1024;
const UNITS: Record<string, number> = { '': 1, b: 1, kb: KIB, mb: KIB ** 2, gb: KIB ** 3 };
const KEYS_PER_SECOND_MAX = 100_000_000;

/** Of commands that may find a key with two values. */
export const keepFlag = {
  keep: Flags.option({
    options: ['owner', 'other'] as const,
    description:
      'Of a key that two masters have with different values: the owner’s, which clients see, or the other; the one that is not kept is gone. Such a key is named and stops the move when not given.',
  })(),
};

/** `--method --rate --keys-per-second --pace --big-key-bytes --keep`. */
export const moveFlags = {
  method: Flags.option({
    options: ['auto', 'migrate', 'atomic'] as const,
    description: 'How slots move: by the servers’ atomic jobs, by MIGRATE, or auto: atomic where both nodes can.',
    default: 'auto' as const,
  })(),
  rate: Flags.string({
    description: 'Most bytes of keys that move in a second, over all pairs, for example 50mb; no limit when not given.',
    helpValue: 'SIZE',
  }),
  'keys-per-second': Flags.integer({
    description: 'Most keys that move in a second, over all pairs; no limit when not given.',
    min: 1,
    max: KEYS_PER_SECOND_MAX,
    helpValue: 'N',
  }),
  pace: Flags.option({
    options: ['auto', 'fast', 'gentle'] as const,
    description:
      'How much of the masters’ time MIGRATE takes: gentle is little at a time, fast is all; auto: gentle where clients are.',
    default: 'auto' as const,
  })(),
  'big-key-bytes': Flags.string({
    description: 'Keys of this size are warned of, and move alone, for example 16mb.',
    helpValue: 'SIZE',
  }),
  ...keepFlag,
};

export interface MoveFlagValues {
  readonly method: 'auto' | 'migrate' | 'atomic';
  readonly rate?: string;
  readonly 'keys-per-second'?: number;
  readonly pace: 'auto' | 'fast' | 'gentle';
  readonly 'big-key-bytes'?: string;
  readonly keep?: 'owner' | 'other';
}

export interface MoveSettings {
  readonly method: MoveFlagValues['method'];
  readonly pace: MoveFlagValues['pace'];
  readonly bytesPerSecond?: number;
  readonly keysPerSecond?: number;
  readonly bigKeyBytes?: number;
  readonly keep?: 'owner' | 'other';
}

/** @throws ForgeError `usage` for a size that is none */
export function readMove(flags: MoveFlagValues): MoveSettings {
  const { method, rate, pace, keep } = flags;
  const bigKey = flags['big-key-bytes'];
  return {
    method,
    pace,
    ...(keep === undefined ? {} : { keep }),
    ...(rate === undefined ? {} : { bytesPerSecond: parseSize(rate, '--rate') }),
    ...(flags['keys-per-second'] === undefined ? {} : { keysPerSecond: flags['keys-per-second'] }),
    ...(bigKey === undefined ? {} : { bigKeyBytes: parseSize(bigKey, '--big-key-bytes') }),
  };
}

/**
 * Bytes of `1048576`, `512kb`, `50mb`, `1gb`, in powers of 1,024 as Redis counts.
 * @throws ForgeError `usage` naming the flag
 */
export function parseSize(text: string, flag: string): number {
  const match = /^([0-9]{1,15})\s*([kmg]?b?)$/i.exec(text.trim());
  const unit = match?.[2]?.toLowerCase() ?? '';
  const bytes = Number(match?.[1]) * (UNITS[unit] ?? UNITS[`${unit}b`] ?? Number.NaN);
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new ForgeError('usage', `${flag} ${text}: this is no size.`, {
    next: 'Write bytes, or a number with kb, mb or gb, for example 50mb.',
  });
}
