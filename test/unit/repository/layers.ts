import type { Layer } from '../../support/import-graph.js';

const SERVICES = [
  'cluster',
  'operations',
  'local',
  'smoke',
  'proxy/control',
  'host',
  'doctor',
  'monitoring',
  'certs',
  'deploy',
  'logs',
  'backup',
  'drills',
];
/** The terminal and the command line belong to commands; services return data and report through what they are given. */
const NO_TERMINAL = /^(?!@oclif|listr2)/;

/** The directions of the design: commands → services → runtime, config and clients; the proxy stands alone. */
export const LAYERS: Layer[] = [
  { name: 'errors', paths: ['src/errors.ts'], mayImport: [], packages: /^$/ },
  // Where templates and the proxy's executable lie.
  { name: 'package-root', paths: ['src/package-root.ts'], mayImport: [], packages: /^node:/ },
  { name: 'ui', paths: ['src/ui/'], mayImport: ['errors'], packages: /^(node:|listr2$)/ },
  { name: 'base', paths: ['src/base-command.ts', 'src/interruption.ts'], mayImport: ['errors', 'ui'] },
  {
    name: 'cluster-command',
    paths: [
      'src/cluster-command.ts',
      'src/interruptible-command.ts',
      'src/change-command.ts',
      'src/unfinished-command.ts',
      'src/restart-flags.ts',
    ],
    mayImport: ['errors', 'ui', 'base', 'cluster-command', 'config', 'address', 'cluster', 'operations', 'local'],
  },
  {
    name: 'drill-command',
    paths: ['src/drill-command.ts'],
    mayImport: [
      ...['errors', 'ui', 'base', 'cluster-command', 'config', 'address'],
      ...['cluster', 'operations', 'drills', 'smoke'],
    ],
  },
  { name: 'main', paths: ['src/main.ts'], mayImport: ['errors', 'ui'] },
  {
    name: 'commands',
    paths: ['src/commands/'],
    mayImport: [
      ...['errors', 'ui', 'base', 'cluster-command', 'drill-command', 'config', 'address', 'proxy/config', 'runtime'],
      ...SERVICES,
    ],
  },
  // Reading and writing addresses is part of what is configured.
  { name: 'address', paths: ['src/cluster/address.ts'], mayImport: ['errors'], packages: /^node:/ },
  // Rendering templates is part of every configuration that is made of one.
  { name: 'template', paths: ['src/runtime/template.ts'], mayImport: ['errors', 'package-root'], packages: /^node:/ },
  // What redis.conf and ACL files may hold: pure, so node:crypto for hashes alone.
  {
    name: 'redis-config',
    paths: ['src/redis-config/'],
    mayImport: ['errors', 'template', 'proxy/config'],
    packages: /^node:crypto$/,
  },
  { name: 'config', paths: ['src/config/'], mayImport: ['errors', 'address', 'proxy/config', 'redis-config'] },
  // The docker command line as data, and what carries it out.
  {
    name: 'docker',
    paths: ['src/docker/'],
    mayImport: ['errors', 'package-root'],
    packages: /^(node:|tar$|zod\/mini$)/,
  },
  {
    name: 'runtime',
    paths: ['src/runtime/'],
    mayImport: ['errors', 'config', 'template', 'redis-config', 'docker'],
    packages: NO_TERMINAL,
  },
  ...SERVICES.map((name) => ({
    name,
    paths: [`src/${name}/`],
    // Services may use each other; the check for circles keeps that in order.
    mayImport: [
      'errors',
      'package-root',
      'config',
      'address',
      'proxy/config',
      'redis-config',
      'template',
      'docker',
      'runtime',
      ...SERVICES,
    ],
    packages: NO_TERMINAL,
  })),
  // The proxy's engine is pure: no package, nothing of Node or Bun, nothing outside itself.
  { name: 'proxy/engine', paths: ['src/proxy/engine/'], mayImport: [], packages: /^$/ },
  { name: 'proxy/config', paths: ['src/proxy/config/'], mayImport: ['errors'], packages: NO_TERMINAL },
  {
    name: 'proxy/server',
    paths: ['src/proxy/server/'],
    mayImport: ['proxy/engine', 'proxy/config'],
    packages: /^(node:|bun(?::|$))/,
  },
];
