/** Facts of imaginary hosts, for tests of rules. */
import { type HostFacts, parseFacts } from '../../../src/host/facts.js';

/** What the script prints on a host that is in order. */
export const HEALTHY = `format 1
system Linux
kernel 6.1.0-13-amd64
machine x86_64
user 0
name a1
distribution Debian GNU/Linux 12 (bookworm)
sysctl.vm.overcommit_memory 1
writable.vm.overcommit_memory yes
sysctl.vm.swappiness 10
writable.vm.swappiness yes
sysctl.vm.zone_reclaim_mode 0
writable.vm.zone_reclaim_mode yes
sysctl.net.core.somaxconn 4096
writable.net.core.somaxconn yes
sysctl.net.ipv4.tcp_max_syn_backlog 4096
writable.net.ipv4.tcp_max_syn_backlog yes
sysctl.net.ipv4.ip_local_port_range 32768\t60999
writable.net.ipv4.ip_local_reserved_ports yes
sysctl.fs.file-max 9223372036854775807
sysctl.net.netfilter.nf_conntrack_max 262144
sysctl.net.netfilter.nf_conntrack_count 1000
huge-pages always [madvise] never
huge-pages-defrag always defer defer+madvise [madvise] never
writable.huge-pages yes
memory.MemTotal 16777216
memory.MemAvailable 8388608
memory.SwapTotal 1048576
memory.SwapFree 1048576
files.soft 1024
files.hard 1048576
docker.running yes
docker.files 524288 1048576
docker.unit /usr/lib/systemd/system/docker.service
systemd running
clock.program chronyd
clock.chrony C0A80001,192.168.0.1,2,1700000000.1,0.000012345,-0.0001,0.0002,1.2,0.01,0.02,0.003,0.001,64.2,Normal
cpus 8
cpu.times 900000 0 50000 9000000 100 0 100 1000 0 0
clock.source tsc
cgroup.version 2
cgroup.controllers cpuset cpu io memory hugetlb pids
disk.0.folder /var/lib/docker
disk.0.found /var/lib/docker
disk.0.space ext4 104857600 94371840
disk.0.options rw,relatime
disk.0.inodes 1000000 900000
`;

/** That host, with lines put in place of those of the same key; undefined takes a line away. */
export function factsWith(changes: Readonly<Record<string, string | undefined>> = {}): HostFacts {
  const kept = HEALTHY.split('\n').filter(
    (line) => !(line.split(' ')[0] ?? '') || !((line.split(' ')[0] ?? '') in changes),
  );
  const added = Object.entries(changes).flatMap(([key, value]) => (value === undefined ? [] : [`${key} ${value}`]));
  return parseFacts([...kept, ...added].join('\n'), 'a1');
}
