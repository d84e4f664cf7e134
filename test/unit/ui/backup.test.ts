import { describe, expect, it } from 'vitest';
import { agoText, backupLines, type ShownBackup, verdictLines } from '../../../src/ui/backup-list.js';
import { detailLines } from '../../../src/ui/backup-show.js';
import { VerifyProgressLines, verifiedLines } from '../../../src/ui/backup-verify.js';
import { createColors } from '../../../src/ui/colors.js';
import { Output } from '../../../src/ui/output.js';

const NOW = Date.UTC(2026, 10, 22, 6);
const COLORS = createColors(false);
const backup = (more: Partial<ShownBackup> = {}): ShownBackup => ({
  ...{ id: '20261122T054900Z-3fa2c1', cluster: 'orders', at: '2026-11-22T05:49:00.000Z', state: 'complete' },
  ...{ active: false, kept: false, bytes: 2_048, sealed: true, shards: 3, masters: 3, keys: 1_234_567 },
  ...{ source: 'network', encrypted: true },
  ...more,
});

describe('backups on a terminal', () => {
  it('are a line each, with what is wrong below', () => {
    const verified = { at: '2026-11-22T05:59:00.000Z', how: 'load', good: true };
    const lines = backupLines(
      [
        backup({ verified, kept: true }),
        backup({ sealed: false, verified: { ...verified, good: false } }),
        { ...backup({ state: 'damaged', problem: 'not\u001b[31m JSON', sealed: false }), encrypted: undefined },
      ],
      COLORS,
      NOW,
    );
    expect(lines).toEqual([
      'ID                          AGE  CLUSTER  STATE     MASTERS       KEYS     SIZE  SOURCE   ENCRYPTED         KEPT  VERIFIED',
      '20261122T054900Z-3fa2c1  11m 0s  orders   complete      3/3  1,234,567  2.0 KiB  network  yes               yes   1m 0s ago (load)',
      '20261122T054900Z-3fa2c1  11m 0s  orders   complete      3/3  1,234,567  2.0 KiB  network  yes, not checked  no    damaged, 1m 0s ago',
      '20261122T054900Z-3fa2c1  11m 0s  orders   damaged       3/3  1,234,567  2.0 KiB  network  -                 no    -',
      '',
      '20261122T054900Z-3fa2c1: not\\u001b[31m JSON',
    ]);
    expect(agoText('2026-11-22T07:00:00.000Z', NOW)).toBe('+1h 0m');
  });

  it('go or stay, with the reasons', () => {
    const verdict = { id: 'a', atMs: NOW - 1_000, state: 'complete', bytes: 10, stays: true, reasons: ['one', 'two'] };
    expect(verdictLines([verdict, { ...verdict, id: 'b', stays: false, reasons: ['old'] }], COLORS, NOW)).toEqual([
      'ID  AGE  STATE     SIZE         WHY',
      'a    1s  complete  10 B  stays  one; two',
      'b    1s  complete  10 B  goes   old',
    ]);
  });

  it('are shown without what a terminal would obey, whoever wrote the manifest', () => {
    const evil = '\u001b]0;evil\u0007';
    const object = { name: 'shard-0001.rdb', bytes: 1, plainBytes: 1, sha256: 'a'.repeat(64) };
    const shard = {
      master: evil,
      slots: '0-1',
      source: evil,
      role: 'master',
      server: evil,
      kind: 'network',
      offset: 1,
    };
    const manifest = {
      ...{ forge: evil, startedAt: '', finishedAt: '', compression: 'gzip', currentEpoch: 1, moving: '5-6' },
      shards: [{ ...shard, startedAt: '', finishedAt: '', keys: 1, object }],
      nodes: [{ id: 'b'.repeat(40), address: evil, role: 'master', slots: '', master: evil, configEpoch: 1 }],
      missing: [{ address: evil, slots: '7', reason: evil }],
    };
    const summary = backup({ problem: evil });
    const details = { place: '/b', summary, manifest, promises: ['It holds.'], keptBy: evil };
    const lines = detailLines(details, COLORS, NOW);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what must not be there.
    for (const line of lines) expect(line).not.toMatch(/[\u0000-\u001f\u007f]/);
    expect(lines).toContain('- It holds.');
    expect(lines.join('\n')).toMatch(/Slots that were on their way\n5-6/);
    const verdict = {
      ...{ cluster: 'orders', id: 'x', good: false, how: 'sums', decrypted: false, objects: 2, bytes: 9 },
    };
    expect(verifiedLines({ ...verdict, problems: [evil], notes: ['odd'] }, COLORS)).toEqual([
      'FAIL  orders/x: 2 objects, 9 B, not decrypted, for want of the key',
      '      \\u001b]0;evil\\u0007',
      '      odd',
    ]);
    const load = { shards: [{ keys: 5 }, { keys: 6_000 }], digest: 'abc' };
    expect(verifiedLines({ ...verdict, good: true, decrypted: true, problems: [], notes: [], load }, COLORS)).toEqual([
      'PASS  orders/x: 2 objects, 9 B, 6,005 keys loaded, digest abc',
    ]);
  });

  it('tell how far a verification is once in ten seconds, where nobody looks', () => {
    let now = 0;
    const said: string[] = [];
    const stderr = { write: (text: string) => said.push(text) };
    const progress = new VerifyProgressLines(new Output({ stderr, environment: {} }), () => now);
    for (; now <= 25_000; now += 1_000) progress.read('orders/x', { bytes: now, totalBytes: 25_000 });
    progress.loading('orders/x', 'shard-0001.rdb.gz', { keys: 1_000 });
    now += 10_000;
    progress.loading('orders/x', 'shard-0001.rdb.gz', { keys: 1_000 });
    expect(said).toEqual([
      '  orders/x: 9.8 KiB of 24.4 KiB, 40 %\n',
      '  orders/x: 19.5 KiB of 24.4 KiB, 80 %\n',
      '  orders/x: shard-0001.rdb.gz is loaded, 1,000 keys counted\n',
    ]);
  });
});
