import { describe, expect, it } from 'vitest';
import { formatInfo, humanBytes, mergeInfo, parseInfo } from '../../../../../src/proxy/engine/broadcast/info-text.js';

const merged = (section: string, ...texts: string[][]) => {
  const [first] = mergeInfo(texts.map((lines) => parseInfo(`# ${section}\r\n${lines.join('\r\n')}\r\n`)));
  return Object.fromEntries(first!.fields);
};

describe('INFO of several masters', () => {
  it('is read and written as servers write it', () => {
    const text = '# Server\r\nredis_version:7.0.15\r\nconfig_file:\r\n\r\n# Keyspace\r\n';
    expect(formatInfo(parseInfo(text))).toBe(text);
    expect(parseInfo('')).toEqual([]);
  });

  it('adds amounts, beyond 2^53 and with decimals', () => {
    expect(merged('Stats', ['a:9007199254740993', 'kbps:0.25'], ['a:2', 'kbps:1.50'])).toEqual({
      a: '9007199254740995',
      kbps: '1.75',
    });
  });

  it('takes the worst of states, and the oldest save', () => {
    expect(
      merged(
        'Persistence',
        ['rdb_bgsave_in_progress:0', 'rdb_last_bgsave_status:ok', 'rdb_last_save_time:50', 'aof_enabled:1'],
        ['rdb_bgsave_in_progress:1', 'rdb_last_bgsave_status:err', 'rdb_last_save_time:40', 'aof_enabled:1'],
      ),
    ).toEqual({
      rdb_bgsave_in_progress: '1',
      rdb_last_bgsave_status: 'err',
      rdb_last_save_time: '40',
      aof_enabled: '1',
    });
  });

  it('computes ratios, percentages and texts for people from the sums', () => {
    const shard = (used: number, rss: number) => [
      `used_memory:${used}`,
      'used_memory_human:x',
      `used_memory_rss:${rss}`,
      `used_memory_peak:${used * 2}`,
      'used_memory_peak_perc:50.00%',
      'used_memory_startup:0',
      `used_memory_dataset:${used / 2}`,
      'used_memory_dataset_perc:1.00%',
      'mem_fragmentation_ratio:9.99',
      'maxmemory_policy:noeviction',
    ];
    expect(merged('Memory', shard(1048576, 2097152), shard(1048576, 4194304))).toEqual({
      used_memory: '2097152',
      used_memory_human: '2.00M',
      used_memory_rss: '6291456',
      used_memory_peak: '4194304',
      used_memory_peak_perc: '50.00%',
      used_memory_startup: '0',
      used_memory_dataset: '1048576',
      used_memory_dataset_perc: '50.00%',
      mem_fragmentation_ratio: '3.00',
      maxmemory_policy: 'noeviction',
    });
    expect([0, 1023, 1024, 1536 * 1024, 3 * 1024 ** 3].map(humanBytes)).toEqual([
      '0B',
      '1023B',
      '1.00K',
      '1.50M',
      '3.00G',
    ]);
  });

  it('adds calls, errors and keys, and weighs what is a mean', () => {
    const one = [
      'cmdstat_get:calls=1,usec=10,usec_per_call=10.00,rejected_calls=0,failed_calls=0',
      'errorstat_ERR:count=2',
    ];
    const two = [
      'cmdstat_get:calls=3,usec=50,usec_per_call=16.67,rejected_calls=1,failed_calls=0',
      'errorstat_OOM:count=1',
    ];
    expect(merged('Commandstats', one, two)).toEqual({
      cmdstat_get: 'calls=4,usec=60,usec_per_call=15.00,rejected_calls=1,failed_calls=0',
      errorstat_ERR: 'count=2',
      errorstat_OOM: 'count=1',
    });
    expect(
      merged('Keyspace', ['db0:keys=10,expires=1,avg_ttl=1000'], ['db0:keys=5,expires=3,avg_ttl=2000,subexpiry=1']),
    ).toEqual({ db0: 'keys=15,expires=4,avg_ttl=1750,subexpiry=1' });
    expect(
      merged(
        'Latencystats',
        ['latency_percentiles_usec_get:p50=1.003,p99=8.031,p99.9=9.500'],
        ['latency_percentiles_usec_get:p50=2.003,p99=7,p99.9=9.5'],
      ),
    ).toEqual({ latency_percentiles_usec_get: 'p50=2.003,p99=8.031,p99.9=9.500' });
    expect(merged('Keysizes', ['db0_distrib_strings_sizes:1=1,2=5'], ['db0_distrib_strings_sizes:2=1,4=2'])).toEqual({
      db0_distrib_strings_sizes: '1=1,2=6,4=2',
    });
  });

  it('leaves out what is true of one server only', () => {
    expect(
      merged(
        'Server',
        ['run_id:a', 'redis_version:7.0.15', 'executable:/x', 'listener0:name=tcp'],
        ['run_id:b', 'redis_version:7.0.15'],
      ),
    ).toEqual({
      redis_version: '7.0.15',
    });
  });
});
