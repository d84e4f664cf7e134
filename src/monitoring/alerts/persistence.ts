/** Alerts about the append-only file and snapshots, from redis_exporter. */
import { type AlertList, of } from './alert.js';

const NODE = '{{ $labels.instance }}';

export const persistenceAlerts: AlertList = ({ redisExporterPort }) =>
  redisExporterPort === undefined
    ? []
    : [
        {
          name: 'RedisAofWriteFailed',
          severity: 'critical',
          expression: `${of('redis_aof_last_write_status')} == 0`,
          lasting: '1m',
          summary: `Redis ${NODE} cannot write its append-only file`,
          description:
            'It refuses writes until it can again. Nearly always the disk is full or broken: look at the disk of its data, and at its log.',
        },
        {
          name: 'RedisAofRewriteFailed',
          severity: 'warning',
          expression: `${of('redis_aof_last_bgrewrite_status')} == 0`,
          lasting: '1m',
          summary: `Redis ${NODE} could not rewrite its append-only file`,
          description:
            'The file grows until it fills the disk, and a restart takes long. Look at its log for a lack of memory (vm.overcommit_memory) or of disk, then BGREWRITEAOF.',
        },
        {
          name: 'RedisAofFsyncDelayed',
          severity: 'warning',
          expression: `increase(${of('redis_aof_delayed_fsync')}[10m]) > 10`,
          lasting: '5m',
          summary: `The disk of Redis ${NODE} is too slow for its append-only file`,
          description:
            'Writes of clients wait for the disk. Look who else uses it; a backup or a rewrite at the same time does it, too.',
        },
        {
          name: 'RedisSnapshotFailed',
          severity: 'critical',
          expression: `${of('redis_rdb_last_bgsave_status')} == 0`,
          lasting: '1m',
          summary: `Redis ${NODE} could not save a snapshot`,
          description:
            'With stop-writes-on-bgsave-error it refuses writes, and replicas cannot synchronise. Look at its log: disk, or memory for the fork (vm.overcommit_memory).',
        },
        {
          name: 'RedisForkSlow',
          severity: 'warning',
          expression: `${of('redis_latest_fork_seconds')} > 1`,
          lasting: '0s',
          summary: `Redis ${NODE} stood still for {{ $value | humanizeDuration }} to fork`,
          description:
            'All its clients waited. Switch transparent huge pages off (forge host check), and keep nodes below some 10 GB.',
        },
      ];
