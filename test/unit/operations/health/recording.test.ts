import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { ForgeError } from '../../../../src/errors.js';
import { examine } from '../../../../src/operations/health/health.js';
import { overviewOf } from '../../../../src/operations/health/overview.js';
import { formatRecording, parseRecording } from '../../../../src/operations/health/recording.js';
import { ROOT } from '../../../support/repository.js';
import { rawNode, THREE } from '../support.js';

/**
 * 200 real nodes that were formed by `forge init-cluster` on two busy processors, recorded while their failure detector
 * held some of them for dead and 18 pictures of the cluster went round.
 */
const RECORDED = path.join(ROOT, 'test/fixtures/cluster-200.json.gz');
const CHECK_CPU_MS = 1_000;

describe('a recording', () => {
  it('of 200 nodes is judged in less than a second of processor time', () => {
    const bytes = readFileSync(RECORDED);
    const before = process.cpuUsage();
    const { snapshot } = parseRecording(bytes, RECORDED);
    const { verdict, findings } = examine(snapshot);
    const overview = overviewOf(snapshot);
    expect(process.cpuUsage(before).user / 1_000).toBeLessThan(CHECK_CPU_MS);
    expect(snapshot.reports).toHaveLength(200);
    expect(snapshot.views).toHaveLength(18);
    expect(verdict).toBe('FAIL');
    const failing = findings.filter((finding) => finding.verdict === 'FAIL').map(({ check }) => check);
    expect(failing).toEqual(['coverage', 'state', 'nodes', 'agreement']);
    expect(overview).toMatchObject({ masters: 110, replicas: 90, slotsServed: 16_384 - 1_147 });
  });

  it('says the same as the nodes did, and is the same file for the same answers', () => {
    const raws = THREE.map((node) => rawNode(node, THREE));
    const failures = [{ id: 'f'.repeat(40), address: '10.0.0.9:6379', kind: 'timeout' as const, message: 'late' }];
    const bytes = formatRecording(raws, failures, '2026-11-21T00:00:00.000Z');
    expect(formatRecording(raws.toReversed(), failures, '2026-11-21T00:00:00.000Z')).toEqual(bytes);
    for (const form of [bytes, gunzipSync(bytes)]) {
      const { snapshot, recordedAt } = parseRecording(form, 'x');
      expect(recordedAt).toBe('2026-11-21T00:00:00.000Z');
      expect(snapshot.failures).toEqual(failures);
      expect(snapshot.reports.map(({ address }) => address)).toEqual(raws.map(({ address }) => address));
    }
  });

  it.each<[string, Buffer, RegExp]>([
    ['nothing', Buffer.alloc(0), /not JSON/],
    ['cut off', readFileSync(RECORDED).subarray(0, 5_000), /not JSON, and no compressed JSON/],
    ['something else', Buffer.from('{"version":2}'), /^x is no recording of a cluster: /],
    ['without a node', Buffer.from('{"version":1,"recordedAt":"","nodes":[],"failures":[]}'), /nodes/],
  ])('that is %s is refused with what is wrong', (_, bytes, words) => {
    try {
      parseRecording(bytes, 'x');
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(ForgeError);
      expect(error).toMatchObject({ kind: 'configuration', message: expect.stringMatching(words) });
    }
  });
});
