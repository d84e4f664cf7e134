import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { stageCli } from '../../../scripts/build/cli.js';
import { ROOT, readText } from '../../support/repository.js';

const MANIFEST = 'oclif.manifest.json';
// Below the repository: the compiled commands must find their packages.
const staging = mkdtempSync(path.join(ROOT, 'manifest-test.tmp-'));

afterEach(() => rmSync(staging, { recursive: true, force: true }));

describe('oclif.manifest.json', () => {
  it('is what the commands are now; if it is not, npm run build brings it up to date', async () => {
    await stageCli(staging);
    const fresh: unknown = JSON.parse(readFileSync(path.join(staging, MANIFEST), 'utf8'));
    expect(JSON.parse(readText(MANIFEST))).toEqual(fresh);
  }, 120_000);
});
