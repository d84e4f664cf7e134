/** Redis ≥ 8.4: CLUSTER MIGRATION IMPORT, told to the target. */
import { normalizeSlots } from '../../../cluster/slots.js';
import { type AtomicDriver, fieldsOf, type JobPhase, parseRanges, type SlotJob } from '../atomic/job.js';

/** A task that `failed` is not at its end: the server begins it anew every second until it is cancelled. */
const ENDS: Readonly<Record<string, JobPhase>> = { completed: 'done', canceled: 'cancelled' };

export const redisAtomicDriver: AtomicDriver = {
  name: 'redis-atomic',
  title: 'Redis’s atomic migration (CLUSTER MIGRATION IMPORT)',
  commands: 'target',
  oneAtATime: true,
  cancelsAll: false,
  start: ({ slots }) => ['CLUSTER', 'MIGRATION', 'IMPORT', ...slots.flatMap(({ start, end }) => [start, end])],
  list: ['CLUSTER', 'MIGRATION', 'STATUS', 'ALL'],
  parse: (reply) => (Array.isArray(reply) ? reply.flatMap(parseTask) : []),
  cancel: ({ id }) => ['CLUSTER', 'MIGRATION', 'CANCEL', 'ID', id],
};

function parseTask(entry: unknown): SlotJob[] {
  const fields = fieldsOf(entry);
  const text = (name: string) => fields.get(name) ?? '';
  if (text('id') === '') return [];
  const state = text('state');
  const direction = text('operation') === 'import' ? 'import' : 'export';
  return [
    {
      id: text('id'),
      direction,
      slots: normalizeSlots(parseRanges(text('slots'))),
      sourceId: text('source'),
      targetId: text('dest'),
      // The source keeps a failed task only to recognise the next attempt: nothing of it runs.
      phase: ENDS[state] ?? (direction === 'export' && state === 'failed' ? 'failed' : 'running'),
      state,
      message: text('last_error').trim(),
      retries: Number(text('retries')) || 0,
      pulse: ['state', 'retries', 'last_error'].map(text).join(' '),
    },
  ];
}
