import { describe, expect, it } from 'vitest';
import { ReplyError } from '../../../../src/proxy/engine/resp/decode.js';
import { readEpoch, saysDown } from '../../../../src/proxy/server/discovery/epoch.js';

describe('the epoch that a node has heard of', () => {
  it.each([
    ['cluster_state:ok\r\ncluster_current_epoch:12\r\ncluster_my_epoch:3\r\n', 12],
    ['cluster_current_epoch:0\r\n', 0],
    ['cluster_current_epoch:7', 7],
    ['cluster_state:ok\r\n', null],
    ['my_cluster_current_epoch:7\r\n', null],
    ['cluster_current_epoch:-1\r\n', null],
    ['cluster_current_epoch:12345678901234567890\r\n', null],
    ['', null],
  ])('%j: %j', (info, epoch) => {
    expect(readEpoch(info)).toBe(epoch);
  });

  it('is not known when the user may not ask, or the answer is none', () => {
    expect(readEpoch(new ReplyError('NOPERM this user has no permissions'))).toBeNull();
    expect(readEpoch(null)).toBeNull();
    expect(readEpoch(12)).toBeNull();
  });
});

describe('whether a node says that the cluster is down', () => {
  it.each([
    ['cluster_state:fail\r\ncluster_slots_assigned:16384\r\n', true],
    ['cluster_slots_fail:0\r\ncluster_state:fail', true],
    ['cluster_state:ok\r\ncluster_current_epoch:1\r\n', false],
    ['my_cluster_state:fail\r\n', false],
    ['cluster_state:failing\r\n', false],
    ['', false],
  ])('%j: %j', (info, down) => {
    expect(saysDown(info)).toBe(down);
  });

  it('does not, when the user may not ask', () => {
    expect(saysDown(new ReplyError('NOPERM this user has no permissions'))).toBe(false);
    expect(saysDown(null)).toBe(false);
  });
});
