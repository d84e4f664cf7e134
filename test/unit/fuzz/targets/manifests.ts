/** What lies beside the data of a backup: its manifest, marks, settings, the journal of a restore, manifests of append-only files. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { type BackupManifest, readManifest, writeManifest } from '../../../../src/backup/manifest.js';
import { readKeepMark, readVerifiedMark, writeKeepMark, writeVerifiedMark } from '../../../../src/backup/marks.js';
import { RestoreJournal, restoreFile } from '../../../../src/backup/restore/journal.js';
import { parseMark } from '../../../../src/backup/run/mark.js';
import { sealText } from '../../../../src/backup/sealed.js';
import { parseSettings, writeSettings } from '../../../../src/backup/settings.js';
import {
  AppendManifestError,
  parseAppendManifest,
  plainNameOf,
  writeAppendManifest,
} from '../../../../src/backup/source/files/manifest.js';
import { ForgeError } from '../../../../src/errors.js';
import { mutations } from '../../../support/mutations.js';
import { textLike } from '../mutate.js';
import { must, mustEqual, resultOf, target } from '../target.js';

const NODE = 'a'.repeat(40);
const SUM = '0'.repeat(64);
const AT = '2026-11-22T05:49:00.000Z';
const SECRET = Buffer.alloc(32, 7);
const ABOUT = { cluster: 'orders', id: '20261122T054900Z-3fa2c1', at: AT, by: 'ops@host' } as const;
const object = (name: string) => ({ name, bytes: 10, sha256: SUM, plainBytes: 20, plainSha256: SUM });
const ALL = [{ start: 0, end: 16_383 }];
const MANIFEST: BackupManifest = {
  ...{ format: 1, id: ABOUT.id, cluster: ABOUT.cluster, forge: '0.1.0', startedAt: AT, finishedAt: AT },
  compression: 'gzip',
  currentEpoch: 3,
  nodes: [{ id: NODE, address: '127.0.0.1:7001', role: 'master', slots: ALL, configEpoch: 1 }],
  shards: [
    {
      ...{ masterId: NODE, masterAddress: '127.0.0.1:7001', slots: ALL, configEpoch: 1 },
      source: { kind: 'network', nodeId: NODE, address: 'x:1', role: 'master', server: 'redis', version: '7.0.15' },
      ...{ replicationId: 'b'.repeat(40), offset: 12, startedAt: AT, finishedAt: AT, slotKeys: [[7, 2]], keys: 2 },
      object: object('shard-0001.rdb.gz'),
    },
  ],
  missing: [],
  moving: [{ start: 7, end: 7 }],
  settings: object('settings.json.gz'),
};
const ENCRYPTED: BackupManifest = {
  ...MANIFEST,
  encryption: { cipher: 'aes-256-gcm', salt: 'c2FsdHNhbHRzYWx0c2FsdA==', chunkBytes: 65_536 },
};
const MANIFESTS = [writeManifest(MANIFEST), writeManifest(ENCRYPTED, SECRET)];
const MARKS = [
  writeKeepMark({ ...ABOUT, note: 'before the move' }),
  writeVerifiedMark({ ...ABOUT, how: 'load', manifest: SUM, faults: [], loadFaults: ['x is missing'] }),
  JSON.stringify({ owner: 'x', host: 'h', pid: 7, start: 'b:1', startedAt: AT, forge: '0.1.0' }),
];
const SETTINGS = {
  format: 1 as const,
  nodes: [{ id: NODE, address: 'x:1', users: ['user a on #00 ~* +@all'], functions: '', configuration: { dir: '/d' } }],
};
const IDENTITY = { backup: `${ABOUT.cluster}/${ABOUT.id}`, nodes: [NODE], options: 'keep x' };
const JOURNAL = {
  ...{ version: 1, backup: IDENTITY.backup, nodes: [NODE], beganMs: 1_763_000_000_000, wasEmpty: true, proven: true },
  libraries: ['#!lua name=x'],
  shards: {
    'shard-0001.rdb.gz': {
      ...{ cursor: 100, done: false, restored: 90, existing: 1, expired: 9, refused: 0 },
      counts: {
        beganMs: 1_763_000_000_000,
        slots: [
          [7, 50, 1, 2, 3, 4],
          [16_383, 40, 0, 0, 0, 0],
        ],
      },
    },
  },
};
const APPENDED = [
  'file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n',
  'file appendonly.aof.7.base.aof seq 7 type b\nfile x.6.incr.aof seq 6 type h\nfile x.8.incr.aof seq 8 type i startoffset 0\n',
];

/** Sealed as if somebody who can had written it. */
const sealed = (value: unknown) => sealText(JSON.stringify(value, undefined, 2));
const odd = [2 ** 60, -1, 'shard-9999', NODE, SUM, AT, [[99_999, 1]], { start: 9, end: 3 }];

function checkManifest(text: string, secret: Buffer | undefined): boolean {
  const { result, refusal } = {
    result: undefined,
    ...resultOf(() => readManifest(text, { place: 'x', secret }), ForgeError),
  };
  if (refusal !== undefined) must(['verification', 'refused'].includes(refusal.kind), 'a refusal says what it is');
  if (result === undefined || !result.sealed) return false;
  mustEqual(readManifest(writeManifest(result.manifest, secret), { place: 'x', secret }), result, 'it is what it says');
  return true;
}

let folder: string | undefined;
async function journalOf(text: string): Promise<RestoreJournal> {
  folder ??= await mkdtemp(path.join(os.tmpdir(), 'forge-fuzz-'));
  const file = restoreFile(IDENTITY, folder);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
  return RestoreJournal.open(IDENTITY, true, folder);
}

/** What targets have written. */
export async function removeFolder(): Promise<void> {
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  folder = undefined;
}

export const manifests = [
  target('manifests of backups, with bytes exchanged', textLike(MANIFESTS), (text) => {
    for (const secret of [undefined, SECRET]) {
      const taken = checkManifest(text, secret);
      must(!taken || MANIFESTS.includes(text), 'no other byte goes unnoticed');
    }
  }),
  target('manifests of backups that somebody has sealed', mutations<unknown>(MANIFEST, odd), (value) => {
    checkManifest(
      typeof value === 'object' && value !== null && !Array.isArray(value) ? sealed(value) : '{}',
      undefined,
    );
  }),
  target('marks beside backups', textLike(MARKS), (text) => {
    const taken = [readKeepMark(text), readVerifiedMark(text)].some((mark) => mark !== undefined);
    must(!taken || MARKS.includes(text), 'no other byte goes unnoticed');
    const mark = parseMark(text);
    if (mark !== undefined) must(Number.isInteger(mark.pid), 'a process has a number');
  }),
  target(
    'settings in a backup',
    fc.oneof(
      textLike([writeSettings(SETTINGS).toString()]),
      mutations<unknown>(SETTINGS).map((each) => JSON.stringify(each)),
    ),
    (text) => {
      const { refusal } = { refusal: undefined, ...resultOf(() => parseSettings(text, 'x'), ForgeError) };
      if (refusal !== undefined) must(refusal.kind === 'verification', 'a refusal says what it is');
    },
  ),
  target(
    'the journal of a restore',
    fc.oneof(
      textLike([JSON.stringify(JOURNAL)]),
      mutations<unknown>(JOURNAL, odd).map((each) => JSON.stringify(each)),
    ),
    async (text) => {
      const journal = await journalOf(text);
      const counts = journal.counts();
      must(counts.keys(7) >= 0 && Number.isInteger(counts.least(7, Date.now())), 'it counts');
      for (const [name, { cursor }] of journal.shards) must(journal.hasRoom(name, cursor), 'it can go on');
    },
  ),
  target('manifests of append-only files', textLike(APPENDED), (text) => {
    const { result } = { result: undefined, ...resultOf(() => parseAppendManifest(text), AppendManifestError) };
    if (result === undefined) return;
    for (const file of result) {
      must(!/[/\0]/.test(file.name) && !file.name.startsWith('.'), 'a file is in the folder');
      must(/^appendonly\.aof\.[0-9]+\./.test(plainNameOf(file)), 'a file gets a plain name');
    }
    mustEqual(parseAppendManifest(writeAppendManifest(result)), result, 'it is read as it is written');
  }),
];
