// What the figures were taken on.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';

const line = (command, args, pattern) => {
  try {
    const output = execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    return pattern.exec(output)?.[1] ?? 'unknown';
  } catch {
    return 'unknown';
  }
};

/** Processor, memory, system and the versions of everything that took part. */
export function describeMachine(proxy) {
  const models = new Set(os.cpus().map(({ model }) => model.trim()));
  const release = /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux';
  return {
    processor: `${os.cpus().length} cores, ${[...models].join(', ')}`,
    memory: `${(os.totalmem() / 2 ** 30).toFixed(0)} GiB`,
    system: `${release}, Linux ${os.release()}`,
    'forge-proxy': line(proxy, ['--version'], /^(.+)/),
    nutcracker: nutcrackerVersion(),
    'redis-server': line('redis-server', ['--version'], /v=(\S+)/),
    'redis-benchmark': line('redis-benchmark', ['--version'], /redis-benchmark (\S+)/),
    node: process.version.slice(1),
  };
}

/** It prints its version on standard error. */
function nutcrackerVersion() {
  return line('sh', ['-c', 'nutcracker --version 2>&1'], /nutcracker-(\S+)/);
}
