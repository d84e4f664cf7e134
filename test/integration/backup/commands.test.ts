import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DirectoryStore } from '../../../src/backup/store/directory.js';
import { type MadeBackup, makeBackup } from '../../support/backup.js';
import { type ForgeResult, forge } from '../../support/forge.js';

const DAY_MS = 24 * 3_600_000;
const SECRET = 'a key of thirty-two bytes or more';

let directory: string;
let place: string;
let backups: MadeBackup[];
let sealed: MadeBackup;

/** Four days of `orders`, the third without a master; one encrypted one of `carts`. */
beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'forge-commands-'));
  place = path.join(directory, 'store');
  const store = new DirectoryStore(place);
  backups = [];
  for (const day of [0, 1, 2, 3]) {
    const missing = day === 2 ? 1 : 0;
    backups.push(await makeBackup(store, { cluster: 'orders', atMs: Date.now() - day * DAY_MS, missing }));
  }
  sealed = await makeBackup(store, { cluster: 'carts', secret: Buffer.from(SECRET) });
  writeFileSync(path.join(directory, 'key'), SECRET, { mode: 0o600 });
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const run = (words: string, env: NodeJS.ProcessEnv = {}): Promise<ForgeResult> =>
  forge(['backup', ...words.split(' ')], {
    cwd: directory,
    env: { BACKUP_DIRECTORY: place, BACKUP_CLUSTER: undefined, FORGE_CONFIG: undefined, ...env },
  });
const parsed = ({ stdout }: ForgeResult) => JSON.parse(stdout) as Record<string, unknown>;
const idOf = (index: number) => backups[index]?.id ?? '';

describe('forge backup', () => {
  it('list has all clusters, show one backup, for people and for programs', async () => {
    const [table, json, shown, document] = await Promise.all([
      run('list'),
      run('list --cluster orders --limit 3 --json'),
      run('show --cluster orders'),
      run(`show ${idOf(2)} --json`),
    ]);
    expect(table.code).toBe(0);
    expect(table.stdout).toMatch(new RegExp(`${idOf(0)} .* orders +complete +2/2 +0 .* network +no +no +-\n`));
    expect(table.stdout).toMatch(new RegExp(`${sealed.id} .* carts +complete .* yes, not checked +no`));
    expect(parsed(json)).toMatchObject({
      place,
      backups: [
        { id: idOf(0), state: 'complete' },
        { id: idOf(1), state: 'complete' },
        { id: idOf(2), state: 'partial', shards: 2, masters: 3, encrypted: false, sealed: true, kept: false },
      ],
    });
    for (const part of [idOf(0), '8192-16383', 'redis 7.0.15', 'shard-0001.rdb.gz', 'What is promised']) {
      expect(shown.stdout).toContain(part);
    }
    expect(parsed(document)).toMatchObject({
      state: 'partial',
      manifest: { missing: [{ reason: 'it does not answer' }], shards: [{ offset: 1000 }, { offset: 1001 }] },
      promises: expect.arrayContaining([expect.stringMatching(/of 1 masters are not in it/)]),
    });
  });

  it('refuses with a reason and a code of its own', async () => {
    const cases: [string, number, RegExp, NodeJS.ProcessEnv?][] = [
      ['show', 5, /several clusters: carts, orders/],
      ['show 20200101T000000Z-aaaaaa', 5, /no backup 20200101T000000Z-aaaaaa/],
      ['verify --all latestest', 2, /one is named/],
      ['prune --keep-last 2', 5, /several clusters/],
      ['prune --cluster orders --keep-last 2', 5, /no terminal to ask on: Remove 2 of 4 backups of orders/],
      ['prune --cluster orders --keep-within soon', 2, /no duration/],
      ['prune --cluster orders', 3, /BACKUP_RETENTION_DAYS/, { BACKUP_RETENTION_DAYS: 'a week' }],
      ['drop latest', 2, /named by its id/],
      [`drop ${sealed.id} --yes`, 5, /only good backup of carts/],
      ['list', 3, /Nothing says where backups are/, { BACKUP_DIRECTORY: '' }],
    ];
    const results = await Promise.all(cases.map(([words, , , env]) => run(words, env)));
    for (const [index, [words, code, message]] of cases.entries()) {
      expect(results[index]?.stderr, words).toMatch(message);
      expect(results[index]?.stderr, words).not.toMatch(/^\s+at /m);
      expect(results[index]?.code, words).toBe(code);
    }
    expect(parsed(await run('list --json'))['backups']).toHaveLength(5);
  });

  it('verify names each fault and ends with 9, keeps the key to itself, and is remembered', async () => {
    const key = path.join(directory, 'key');
    const good = await run('verify --all --quiet');
    expect(good.stderr).toBe('');
    expect(good).toMatchObject({ code: 0, stdout: expect.stringMatching(/5 backups verified in .*: all are good\./) });
    expect(good.stdout).toMatch(/carts.*not decrypted/);
    const withKey = await run(`verify --cluster carts --encryption-key-file ${key} --json`);
    expect(parsed(withKey)).toMatchObject({
      good: true,
      backups: [{ decrypted: true, remembered: true, how: 'sums' }],
    });
    expect(withKey.stdout + withKey.stderr).not.toContain(SECRET);
    // Who may not read the key may look all the same, but not call that a proof.
    const noKey = '--encryption-key-file /nowhere/key';
    const [listed, proved] = await Promise.all([run(`list ${noKey} --json`), run(`verify --cluster carts ${noKey}`)]);
    expect(listed).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/does not exist.*Seals .* are not checked/s),
    });
    expect(proved).toMatchObject({ code: 3, stderr: expect.stringMatching(/does not exist/) });
    const file = path.join(place, backups[1]?.keys[0] ?? '');
    const content = readFileSync(file);
    const changed = Buffer.from(content);
    changed[12] = (changed[12] as number) ^ 1;
    writeFileSync(file, changed);
    const bad = await run('verify --all --cluster orders --json');
    expect(bad.code).toBe(9);
    expect(parsed(bad)).toMatchObject({ good: false });
    expect((parsed(bad)['backups'] as { id: string; good: boolean }[]).filter((each) => !each.good)).toMatchObject([
      { id: idOf(1), problems: [expect.stringContaining('shard-0001.rdb.gz')] },
    ]);
    const table = await run('list --cluster orders');
    expect(table.stdout).toMatch(new RegExp(`${idOf(1)} .* damaged .* damaged, `));
    writeFileSync(file, content);
    expect(await run(`verify ${idOf(1)}`)).toMatchObject({ code: 0, stdout: expect.stringMatching(/PASS/) });
  });

  it('prune shows, asks and removes by the rules that are told, keep and drop go before them', async () => {
    const kept = await run(`keep ${idOf(3)} --note audit`);
    expect(kept).toMatchObject({ code: 0, stdout: `orders/${idOf(3)} stays until it is released.\n` });
    expect((await run(`show ${idOf(3)}`)).stdout).toMatch(/Kept +since .*: audit/);
    const dry = await run('prune --cluster orders --keep-last 1 --dry-run');
    expect(dry.stdout).toMatch(new RegExp(`${idOf(1)} .* goes +no rule keeps it`));
    expect(dry.stdout).toMatch(new RegExp(`${idOf(3)} .* stays +it is marked to be kept`));
    expect(dry.stdout).toMatch(/Would remove 2 of 4 backups of orders/);
    const done = await run('prune --cluster orders --yes --json', { BACKUP_RETENTION_DAYS: '1' });
    // A day before the newest one: the second is as old, to the second.
    expect(parsed(done)).toMatchObject({ removed: [idOf(2)] });
    const floor = await run('prune --cluster orders --keep-last 1 --floor 2 --yes --quiet');
    expect(floor).toMatchObject({ code: 0, stdout: `Nothing is to be removed of orders in ${place}.\n` });
    expect((await run(`drop ${idOf(3)} --yes`)).code).toBe(5);
    expect((await run(`keep ${idOf(3)} --release`)).stdout).toBe(`Released orders/${idOf(3)}.\n`);
    expect((await run(`drop ${idOf(3)}`)).stderr).toMatch(/no terminal to ask on: Remove orders/);
    const dropped = await run(`drop ${idOf(3)} --yes --json`);
    expect(parsed(dropped)).toMatchObject({ id: idOf(3), removed: true });
    const left = parsed(await run('list --cluster orders --json'))['backups'] as { id: string }[];
    expect(left.map(({ id }) => id)).toEqual([idOf(0), idOf(1)]);
  });
});
