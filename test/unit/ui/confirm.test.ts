import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { askConfirmation } from '../../../src/ui/confirm.js';

function terminal() {
  return Object.assign(new PassThrough(), { isTTY: true });
}

function answer(text: string, confirmWord?: string) {
  const input = terminal();
  const asked = askConfirmation('Delete everything?', { input, output: terminal(), confirmWord });
  input.write(`${text}\n`);
  return asked;
}

describe('a confirmation', () => {
  it.each(['y', 'Y', 'yes', ' yes '])('is given with %j', async (text) => {
    expect(await answer(text)).toBe(true);
  });

  it.each(['', 'n', 'no', 'yesterday'])('is not given with %j', async (text) => {
    await expect(answer(text)).rejects.toMatchObject({ kind: 'refused', message: expect.stringContaining('Nothing') });
  });

  it('can ask for a word', async () => {
    expect(await answer('local', 'local')).toBe(true);
    await expect(answer('yes', 'local')).rejects.toMatchObject({ kind: 'refused' });
  });

  it('is refused at the end of the input', async () => {
    const input = terminal();
    const asked = askConfirmation('Delete?', { input, output: terminal() });
    input.end();
    await expect(asked).rejects.toMatchObject({ kind: 'refused' });
  });

  it('is refused without a terminal and with --json, and says what to add', async () => {
    const pipe = new PassThrough();
    for (const options of [
      { input: pipe, output: terminal() },
      { input: terminal(), output: pipe },
      { input: terminal(), output: terminal(), json: true },
    ]) {
      await expect(askConfirmation('Delete?', options)).rejects.toMatchObject({
        kind: 'refused',
        next: [expect.stringContaining('--yes')],
      });
    }
  });

  it('ends with the interruption that comes while it waits', async () => {
    const controller = new AbortController();
    const asked = askConfirmation('Delete?', { input: terminal(), output: terminal(), signal: controller.signal });
    const reason = new Error('interrupted');
    controller.abort(reason);
    await expect(asked).rejects.toBe(reason);
  });
});
