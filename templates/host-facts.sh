# What a Linux host is like for Redis, as lines of "key value". Reads only; with MEASURE it writes one small file into the
# first folder and removes it again. Plain POSIX shell: it also runs where there is no more than busybox.
#
# Arguments: yes or no (measure), then folders that data is in.
LC_ALL=C
export LC_ALL
measure=$1
shift

# A line; nothing for an empty value. Line ends in a value would be read as other facts.
fact() {
  [ -n "$2" ] && printf '%s %s\n' "$1" "$(printf %s "$2" | tr '\n\t' '  ')"
}

# What a file of one line holds, as a fact. Not by `read`: it asks for one byte after the other, and /proc/sys gives the first.
line() {
  [ -r "$2" ] && fact "$1" "$(cat "$2" 2>/dev/null)"
}

# Commands that may hang: bounded where the host has timeout(1), left out where it has not.
bounded() {
  command -v timeout >/dev/null 2>&1 && timeout 2 "$@" 2>/dev/null
}

fact format 1
fact system "$(uname -s)"
fact kernel "$(uname -r)"
fact machine "$(uname -m)"
fact user "$(id -u)"
fact name "$(uname -n)"
fact now "$(date +%s)"
if [ -r /etc/os-release ]; then
  fact distribution "$(sed -n 's/^PRETTY_NAME="\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' /etc/os-release)"
fi
[ "$(uname -s)" = Linux ] || exit 0

for key in vm.overcommit_memory vm.swappiness vm.zone_reclaim_mode net.core.somaxconn net.ipv4.tcp_max_syn_backlog \
  net.ipv4.ip_local_port_range net.ipv4.ip_local_reserved_ports fs.file-max fs.nr_open \
  net.netfilter.nf_conntrack_max net.netfilter.nf_conntrack_count; do
  file=/proc/sys/$(printf %s "$key" | tr . /)
  [ -e "$file" ] || continue
  # Some may be empty, which is a value, too.
  printf 'sysctl.%s %s\n' "$key" "$(tr '\t' ' ' <"$file" 2>/dev/null)"
  if [ -w "$file" ]; then fact "writable.$key" yes; else fact "writable.$key" no; fi
done

# What will be set at the next boot: the files in the order in which sysctl --system reads them, the last one wins.
# A file in /etc takes the place of one with the same name below it.
for name in $(ls /etc/sysctl.d /run/sysctl.d /usr/local/lib/sysctl.d /usr/lib/sysctl.d /lib/sysctl.d 2>/dev/null |
  sed -n 's/.*\.conf$/&/p' | sort -u); do
  for folder in /etc/sysctl.d /run/sysctl.d /usr/local/lib/sysctl.d /usr/lib/sysctl.d /lib/sysctl.d; do
    [ -r "$folder/$name" ] || continue
    sed -n 's|^[[:space:]]*-\{0,1\}\([a-z][A-Za-z0-9_./-]*\)[[:space:]]*=[[:space:]]*\(.*[^[:space:]]\)[[:space:]]*$|boot.\1 '"$folder/$name"' \2|p' \
      "$folder/$name" | grep -E '^boot\.(vm|net|fs)[./]'
    break
  done
done

pages=/sys/kernel/mm/transparent_hugepage
line huge-pages "$pages/enabled"
line huge-pages-defrag "$pages/defrag"
if [ -e "$pages/enabled" ]; then
  if [ -w "$pages/enabled" ]; then fact writable.huge-pages yes; else fact writable.huge-pages no; fi
fi

while read -r key value _; do
  case $key in
    MemTotal: | MemAvailable: | SwapTotal: | SwapFree:) fact "memory.${key%:}" "$value" ;;
  esac
done </proc/meminfo

fact files.soft "$(ulimit -Sn)"
fact files.hard "$(ulimit -Hn)"
for process in /proc/[0-9]*; do
  IFS= read -r name <"$process/comm" 2>/dev/null || continue
  case $name in
    dockerd)
      fact docker.running yes
      fact docker.files "$(awk '/^Max open files/ { print $4, $5 }' "$process/limits" 2>/dev/null)"
      ;;
    chronyd | ntpd | systemd-timesyn | openntpd) fact clock.program "$name" ;;
  esac
done 2>/dev/null
for folder in /etc/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
  [ -e "$folder/docker.service" ] && fact docker.unit "$folder/docker.service" && break
done
if [ -d /run/systemd/system ]; then fact systemd running; elif [ -d /etc/systemd/system ]; then fact systemd installed; fi

# The clock: whoever keeps it is asked; without anybody to ask it stays unknown.
if command -v chronyc >/dev/null 2>&1; then
  fact clock.chrony "$(bounded chronyc -c tracking)"
fi
if [ -e /run/systemd/timesync/synchronized ]; then
  fact clock.synchronized yes
elif [ -d /run/systemd/system ] && command -v timedatectl >/dev/null 2>&1; then
  fact clock.synchronized "$(bounded timedatectl show --property=NTPSynchronized --value)"
fi

fact cpus "$(grep -c '^processor' /proc/cpuinfo)"
fact cpu.times "$(sed -n '1s/^cpu *//p' /proc/stat)"
line cpu.governor /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor
line cpu.driver /sys/devices/system/cpu/cpu0/cpufreq/scaling_driver
line clock.source /sys/devices/system/clocksource/clocksource0/current_clocksource

if [ -r /sys/fs/cgroup/cgroup.controllers ]; then
  fact cgroup.version 2
  line cgroup.controllers /sys/fs/cgroup/cgroup.controllers
elif [ -d /sys/fs/cgroup ]; then
  fact cgroup.version 1
  fact cgroup.controllers "$(awk '$4 == 1 { printf "%s ", $1 }' /proc/cgroups)"
fi
if [ -e /.dockerenv ] || [ -e /run/.containerenv ]; then fact container yes; fi

if [ $# = 0 ]; then
  root=$(sed -n 's/.*"data-root"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p' /etc/docker/daemon.json 2>/dev/null)
  if [ -d "${root:-/var/lib/docker}" ]; then
    set -- "${root:-/var/lib/docker}"
  elif [ -d /var/lib/redis ]; then
    set -- /var/lib/redis
  else
    set -- /
  fi
fi

# Of the nearest folder that is there, where nothing was deployed yet.
number=0
measured=
for folder in "$@"; do
  fact "disk.$number.folder" "$folder"
  while [ ! -d "$folder" ] && [ -n "$folder" ]; do folder=${folder%/*}; done
  folder=${folder:-/}
  fact "disk.$number.found" "$folder"
  measured=${measured:-$folder}
  if table=$(bounded df -P -T -k "$folder"); then
    fact "disk.$number.space" "$(printf '%s\n' "$table" | awk 'NR == 2 { print $2, $3, $5 }')"
    mount=$(printf '%s\n' "$table" | awk 'NR == 2 { print $7 }')
    fact "disk.$number.options" "$(awk -v at="$mount" '$2 == at { options = $4 } END { print options }' /proc/mounts)"
    fact "disk.$number.inodes" "$(bounded df -P -i "$folder" | awk 'NR == 2 { print $2, $4 }')"
  else
    fact "disk.$number.silent" yes
  fi
  number=$((number + 1))
done

# How long one small write takes until it is on the disk: 32 writes of 4 KiB, each waited for, within 5 seconds.
if [ "$measure" = yes ]; then
  scratch=$(mktemp "$measured/.forge-measure.XXXXXX" 2>/dev/null)
  if [ -n "$scratch" ]; then
    trap 'rm -f "$scratch"' EXIT
    trap 'exit 1' HUP INT TERM
    begun=$(date +%s%N)
    if timeout 5 dd if=/dev/zero of="$scratch" bs=4096 count=32 oflag=dsync >/dev/null 2>&1; then
      fact fsync.nanoseconds "$((($(date +%s%N) - begun) / 32))"
    else
      fact fsync.nanoseconds slow
    fi
  else
    fact fsync.nanoseconds denied
  fi
fi
exit 0
