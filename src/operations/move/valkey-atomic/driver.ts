/** Valkey ≥ 9: CLUSTER MIGRATESLOTS, told to the source. */
import { normalizeSlots } from '../../../cluster/slots.js';
import { type AtomicDriver, fieldsOf, type JobPhase, parseRanges, type SlotJob } from '../atomic/job.js';

/** All other states are those of a job under way, also ones that a later version adds. */
const ENDS: Readonly<Record<string, JobPhase>> = { success: 'done', failed: 'failed', cancelled: 'cancelled' };

export const valkeyAtomicDriver: AtomicDriver = {
  name: 'valkey-atomic',
  title: 'Valkey’s atomic migration (CLUSTER MIGRATESLOTS)',
  commands: 'source',
  oneAtATime: false,
  cancelsAll: true,
  start: ({ slots, target }) => [
    'CLUSTER',
    'MIGRATESLOTS',
    'SLOTSRANGE',
    ...slots.flatMap(({ start, end }) => [start, end]),
    'NODE',
    target.id,
  ],
  list: ['CLUSTER', 'GETSLOTMIGRATIONS'],
  parse: (reply) => (Array.isArray(reply) ? reply.flatMap(parseJob) : []),
  cancel: () => ['CLUSTER', 'CANCELSLOTMIGRATIONS'],
};

function parseJob(entry: unknown): SlotJob[] {
  const fields = fieldsOf(entry);
  const text = (name: string) => fields.get(name) ?? '';
  if (text('name') === '') return [];
  const state = text('state');
  const pulse = ['state', 'last_update_time', 'last_ack_time', 'remaining_repl_size', 'cow_size'].map(text).join(' ');
  return [
    {
      id: text('name'),
      direction: text('operation') === 'EXPORT' ? 'export' : 'import',
      slots: normalizeSlots(parseRanges(text('slot_ranges'))),
      sourceId: text('source_node'),
      targetId: text('target_node'),
      phase: ENDS[state] ?? 'running',
      state,
      message: text('message').trim(),
      retries: 0,
      pulse,
    },
  ];
}
