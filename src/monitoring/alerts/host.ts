/** Alerts about hosts, from node_exporter. */
import { type AlertList, of } from './alert.js';

const HOST = '{{ $labels.instance }}';
const DISK = `${HOST}:{{ $labels.mountpoint }}`;
const REAL = 'fstype!~"tmpfs|ramfs|squashfs|iso9660"';
const FULL_PERCENT = 95;

const used = `100 * (1 - ${of('node_filesystem_avail_bytes', REAL)} / ${of('node_filesystem_size_bytes', REAL)})`;
const perSecond = (metric: string, more = '') => `rate(${of(metric, more)}[5m])`;

export const hostAlerts: AlertList = ({ nodeExporterPort, thresholds }) =>
  nodeExporterPort === undefined
    ? []
    : [
        {
          name: 'HostDiskAlmostFull',
          severity: 'warning',
          expression: `${used} > ${thresholds.disk_percent}`,
          lasting: '5m',
          summary: `Disk ${DISK} is {{ $value | humanize }} % full`,
          description:
            'A rewrite of the append-only file needs its size again. Rotate logs, move backups away, or enlarge the disk.',
        },
        {
          name: 'HostDiskFull',
          severity: 'critical',
          expression: `${used} > ${FULL_PERCENT}`,
          lasting: '1m',
          summary: `Disk ${DISK} is {{ $value | humanize }} % full`,
          description: 'Redis refuses writes when it cannot write its append-only file. Make room now.',
        },
        {
          name: 'HostDiskFillsSoon',
          severity: 'warning',
          expression: `predict_linear(${of('node_filesystem_avail_bytes', REAL)}[6h], 86400) < 0 and ${used} > 50`,
          lasting: '1h',
          summary: `Disk ${DISK} is full within a day, as it goes on`,
          description: 'Look what grows: the append-only file, logs, backups that nobody moves away.',
        },
        {
          name: 'HostInodesLow',
          severity: 'warning',
          expression: `100 * ${of('node_filesystem_files_free', REAL)} / (${of('node_filesystem_files', REAL)} > 0) < 5`,
          lasting: '5m',
          summary: `Disk ${DISK} has {{ $value | humanize }} % of its inodes left`,
          description:
            'No file can be made when there are none, whatever room there is. Look for folders with very many files.',
        },
        {
          name: 'HostMemoryLow',
          severity: 'warning',
          expression: `100 * ${of('node_memory_MemAvailable_bytes')} / ${of('node_memory_MemTotal_bytes')} < 10`,
          lasting: '5m',
          summary: `${HOST} has {{ $value | humanize }} % of its memory left`,
          description: 'A fork of Redis needs memory for what is written meanwhile. Lower maxmemory, or move a node.',
        },
        {
          name: 'HostOutOfMemory',
          severity: 'critical',
          expression: `increase(${of('node_vmstat_oom_kill')}[10m]) > 0`,
          lasting: '0s',
          summary: `${HOST} ended a process for lack of memory`,
          description: 'dmesg names it. When it was Redis, lower maxmemory or the number of nodes on the host.',
        },
        {
          name: 'HostSwapping',
          severity: 'warning',
          expression: `${perSecond('node_vmstat_pswpin')} + ${perSecond('node_vmstat_pswpout')} > 10`,
          lasting: '5m',
          summary: `${HOST} swaps {{ $value | humanize }} pages a second`,
          description:
            'Redis on swapped memory is slower by orders. Lower vm.swappiness (forge host tune) and the use of memory.',
        },
        {
          name: 'HostLoadHigh',
          severity: 'warning',
          expression: `${of('node_load5')} / on (cluster, instance) group_left () count by (cluster, instance) (${of('node_cpu_seconds_total', 'mode="idle"')}) > 2`,
          lasting: '15m',
          summary: `${HOST} has {{ $value | humanize }} times the load that its processors can carry`,
          description: 'Each Redis needs a processor of its own. Look what else runs there.',
        },
        {
          name: 'HostDiskBusy',
          severity: 'warning',
          expression: `${perSecond('node_disk_io_time_seconds_total')} > 0.95`,
          lasting: '15m',
          summary: `Disk ${HOST} {{ $labels.device }} is busy all the time`,
          description:
            'Writes of the append-only file wait. Look for backups, rewrites and neighbours, or take a faster disk.',
        },
        {
          name: 'HostClockSkew',
          severity: 'warning',
          expression: `abs(${of('node_timex_offset_seconds')}) > 0.05 or abs(${of('node_time_seconds')} - timestamp(${of('node_time_seconds')})) > 2`,
          lasting: '5m',
          summary: `The clock of ${HOST} is wrong by {{ $value | humanizeDuration }}`,
          description:
            'Keys expire at the wrong time, and certificates count as not valid yet. Look at chrony or systemd-timesyncd.',
        },
        {
          name: 'HostClockNotSynchronised',
          severity: 'warning',
          expression: `${of('node_timex_sync_status')} == 0`,
          lasting: '30m',
          summary: `Nothing keeps the clock of ${HOST} right`,
          description: 'Install chrony or switch systemd-timesyncd on; forge host check looks at it.',
        },
        {
          name: 'HostFileDescriptors',
          severity: 'warning',
          expression: `100 * ${of('node_filefd_allocated')} / ${of('node_filefd_maximum')} > 80`,
          lasting: '5m',
          summary: `${HOST} uses {{ $value | humanize }} % of its file descriptors`,
          description:
            'Without one, no client can connect. Raise fs.file-max (forge host tune), or look who keeps them open.',
        },
        {
          name: 'HostConnectionsDropped',
          severity: 'warning',
          expression: `${perSecond('node_netstat_TcpExt_ListenOverflows')} > 1`,
          lasting: '5m',
          summary: `${HOST} drops {{ $value | humanize }} new connections a second`,
          description:
            'A queue of new connections is too short: raise net.core.somaxconn (forge host tune) and tcp-backlog.',
        },
      ];
