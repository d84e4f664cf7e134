import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fileFailure } from '../../../src/certs/file-failure.js';
import { readPassphrase } from '../../../src/certs/passphrase.js';
import { ForgeError } from '../../../src/errors.js';
import { certificateTable, issueTable } from '../../../src/ui/certificates.js';
import { createColors } from '../../../src/ui/colors.js';

describe('what a file system says', () => {
  const failure = (code: string) => Object.assign(new Error(code), { code, syscall: 'open' });

  it.each([
    ['EACCES', 'denied'],
    ['EPERM', 'denied'],
    ['EROFS', 'denied'],
    ['ENOSPC', 'refused'],
    ['EDQUOT', 'refused'],
    ['ENOTDIR', 'configuration'],
    ['ENAMETOOLONG', 'configuration'],
    ['EIO', 'configuration'],
  ])('as %s is of the kind %s, with a next step', (code, kind) => {
    const told = fileFailure(failure(code), '/certs cannot be written');
    expect(told).toMatchObject({ kind, details: { code } });
    expect((told as ForgeError).message).toMatch(/^\/certs cannot be written: .+\.$/);
    expect((told as ForgeError).next).toHaveLength(1);
  });

  it('is told apart from other failures, which stay what they are', () => {
    const other = new Error('a fault');
    expect(fileFailure(other, 'x')).toBe(other);
    const own = new ForgeError('locked', 'x');
    expect(fileFailure(own, 'x')).toBe(own);
    const abort = AbortSignal.abort().reason;
    expect(fileFailure(abort, 'x')).toBe(abort);
  });
});

describe('the passphrase of a CA', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'forge-passphrase-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const file = async (text: string) => {
    const name = path.join(folder, 'passphrase');
    await writeFile(name, text);
    return name;
  };

  it('is in a file, without its line end, or in the environment; the file goes first', async () => {
    expect(await readPassphrase(await file('from a file\n'), { FORGE_CA_PASSPHRASE: 'from outside' })).toBe(
      'from a file',
    );
    expect(await readPassphrase(undefined, { FORGE_CA_PASSPHRASE: 'from outside' })).toBe('from outside');
    expect(await readPassphrase(undefined, { FORGE_CA_PASSPHRASE: '' })).toBeUndefined();
    expect(await readPassphrase(undefined, {})).toBeUndefined();
  });

  it('is refused when it is too short, too long, or not there, and never repeated', async () => {
    for (const bad of ['short', '', `${'x'.repeat(1_025)}`]) {
      const failure = await readPassphrase(await file(bad), {}).catch((error: unknown) => error);
      expect(failure).toMatchObject({ kind: 'configuration' });
      if (bad !== '') expect(JSON.stringify(failure)).not.toContain(bad);
    }
    await expect(readPassphrase(path.join(folder, 'none'), {})).rejects.toThrow(/cannot be read/);
  });
});

describe('certificates on a terminal', () => {
  const plain = createColors(false);

  it('are listed with their ends and the first of their names, and obey no name', () => {
    const table = certificateTable(
      [
        {
          ...{ check: 'nodes/a/server.crt', about: '', verdict: 'PASS', reasons: [] },
          ...{ names: ['a', 'b', 'c\u001b[31m', 'd'], expires: '2031-06-15T12:00:00.000Z', daysLeft: 365 },
        },
        { check: 'b.crt', about: '', verdict: 'FAIL', reasons: [], names: [], expires: null, daysLeft: null },
      ],
      plain,
    );
    expect(table.split('\n')).toEqual([
      '      CERTIFICATE         EXPIRES     DAYS  FOR',
      'PASS  nodes/a/server.crt  2031-06-15   365  a, b, c\\u001b[31m +1',
      'FAIL  b.crt               –              –',
    ]);
  });

  it('that a run made are listed with what was done and why', () => {
    const table = issueTable(
      [
        {
          folder: 'proxy',
          action: 'renewed',
          newKey: false,
          names: ['x'],
          reasons: ['it ends in 3 days'],
          expires: null,
        },
        {
          folder: 'nodes/a',
          action: 'kept',
          newKey: false,
          names: ['a'],
          reasons: [],
          expires: '2031-06-15T00:00:00Z',
        },
      ],
      plain,
    );
    expect(table.split('\n').slice(1)).toEqual([
      'renewed  proxy        kept              it ends in 3 days',
      'kept     nodes/a            2031-06-15  a',
    ]);
  });
});
