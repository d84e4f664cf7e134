import { parseDecimal } from '../bytes.js';
import type { ResponsePolicy } from '../commands/spec.js';
import type { Core } from '../core/core.js';
import type { MergedReply } from '../core/merge.js';
import { type Answer, bytesOf, errorOf, isError, type Merge } from './answers.js';
import { array, encodeTree, integer, type Node, parseTree } from './tree.js';

const COLON = 58;

/** Merges an error first: any refusal makes the whole one, see `errorOf`. */
export function withoutErrors(merge: Merge): Merge {
  return (core, answers, proto) => errorOf(core, answers) ?? merge(core, answers, proto);
}

export function protocolError(core: Core): MergedReply {
  return { pieces: [core.texts.upstreamProtocolError], failed: true };
}

/** A merge that looks inside: it is given every reply as a tree. */
export function ofTrees(combine: (replies: readonly Node[], answers: readonly Answer[]) => Node): Merge {
  return withoutErrors((core, answers) => {
    const replies: Node[] = [];
    for (const { bytes, start, end } of answers) {
      const reply = parseTree(bytes, start, end);
      if (reply === null) return protocolError(core);
      replies.push(reply);
    }
    return { pieces: [encodeTree(combine(replies, answers), core.runtime.allocate)], failed: false };
  });
}

/** All must say the same; Envoy's words when they do not. */
export const allSame: Merge = withoutErrors((core, answers) => {
  const [first] = answers;
  const same = answers.every(({ bytes, start, end }) => {
    if (end - start !== first.end - first.start) return false;
    for (let i = start, j = first.start; i < end; i++, j++) if (bytes[i] !== first.bytes[j]) return false;
    return true;
  });
  if (!same) return { pieces: [core.text('-all responses not same\r\n')], failed: true };
  return { pieces: [bytesOf(first)], failed: false };
});

/** All must have done it; what the first one says is told. */
export const allSucceeded: Merge = withoutErrors((_core, [first]) => ({ pieces: [bytesOf(first)], failed: false }));

/** One that has done it is enough. */
export const oneSucceeded: Merge = (core, answers) => {
  const good = answers.find((answer) => !isError(answer));
  if (good !== undefined) return { pieces: [bytesOf(good)], failed: false };
  return errorOf(core, answers) as MergedReply;
};

/** Integers into one, and arrays of integers place by place. */
export function ofIntegers(combine: (a: number, b: number) => number): Merge {
  const inside = ofTrees((replies) =>
    array(
      replies[0].items.map((_, i) =>
        integer(replies.map(({ items }) => Number(items[i]?.text)).reduce((a, b) => combine(a, b))),
      ),
    ),
  );
  return withoutErrors((core, answers, proto) => {
    if (answers[0].bytes[answers[0].start] === 42) return inside(core, answers, proto);
    let total: number | undefined;
    for (const { bytes, start, end } of answers) {
      const value = bytes[start] === COLON ? parseDecimal(bytes, start + 1, end - 2) : Number.NaN;
      if (Number.isNaN(value)) return protocolError(core);
      total = total === undefined ? value : combine(total, value);
    }
    return { pieces: [core.text(`:${total}\r\n`)], failed: false };
  });
}

export const sum = ofIntegers((a, b) => a + b);
export const smallest = ofIntegers(Math.min);
export const largest = ofIntegers(Math.max);

/** Arrays (sets, maps) behind one another; the elements are not looked at. */
export const concatenated: Merge = withoutErrors((core, answers) => {
  const [first] = answers;
  const type = first.bytes[first.start];
  let count = 0;
  const bodies: Answer[] = [];
  for (const answer of answers) {
    const { bytes, start, end } = answer;
    let newline = start + 1;
    while (newline < end && bytes[newline] !== 10) newline++;
    const length = parseDecimal(bytes, start + 1, newline - 1);
    if (bytes[start] !== type || !'*~%'.includes(String.fromCharCode(type)) || Number.isNaN(length)) {
      // Not arrays: the first one's word stands for all, when they agree.
      return allSame(core, answers, 2);
    }
    if (length <= 0) continue;
    count += length;
    bodies.push({ ...answer, start: newline + 1 });
  }
  return { pieces: [core.text(`${String.fromCharCode(type)}${count}\r\n`), ...bodies.map(bytesOf)], failed: false };
});

/** The merge that a command's `response_policy` tip asks for; without a tip, as Redis advises: arrays together. */
export const BY_POLICY: Readonly<Record<ResponsePolicy, Merge>> = {
  '': concatenated,
  special: concatenated,
  all_succeeded: allSucceeded,
  one_succeeded: oneSucceeded,
  agg_sum: sum,
  agg_min: smallest,
  agg_max: largest,
  agg_logical_and: ofIntegers((a, b) => (a !== 0 && b !== 0 ? 1 : 0)),
  agg_logical_or: ofIntegers((a, b) => (a !== 0 || b !== 0 ? 1 : 0)),
};
