import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRecord } from '../../../src/runtime/process/record.js';

describe('parseRecord', () => {
  it('reads what the supervisor writes', () => {
    const text = 'state waiting\nsupervisor 12 ab12:34\nchild -\nrestarts 3\nlast_exit 137\nsince 1700000000\n';
    expect(parseRecord(text)).toEqual({
      phase: 'waiting',
      supervisor: { pid: 12, start: 'ab12:34' },
      child: undefined,
      restarts: 3,
      lastExit: 137,
    });
  });

  it('names no process when its number or start is damaged', () => {
    const record = parseRecord('state running\nsupervisor 12\nchild x y\nrestarts 0\nlast_exit -\n');
    expect(record).toEqual({ phase: 'running', supervisor: undefined, child: undefined, restarts: 0 });
  });

  it('takes nothing else for a record', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!/(^|\n)state (running|waiting|failed|exited|stopped)(\n|$)/.test(text));
        return parseRecord(text) === undefined;
      }),
    );
  });
});
