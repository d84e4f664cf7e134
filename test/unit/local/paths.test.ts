import os from 'node:os';
import { describe, expect, it } from 'vitest';
import { clusterPaths, forgeHome } from '../../../src/local/paths.js';

describe('forgeHome', () => {
  it('is what was asked for, before all else', () => {
    expect(forgeHome('/asked', { FORGE_HOME: '/env', XDG_STATE_HOME: '/xdg' })).toBe('/asked');
    expect(forgeHome(undefined, { FORGE_HOME: '/env', XDG_STATE_HOME: '/xdg' })).toBe('/env');
  });

  it('follows the XDG specification, which has relative paths ignored', () => {
    expect(forgeHome(undefined, { XDG_STATE_HOME: '/xdg' })).toBe('/xdg/redisforge');
    expect(forgeHome(undefined, { XDG_STATE_HOME: 'xdg' })).toBe(`${os.homedir()}/.local/state/redisforge`);
    expect(forgeHome(undefined, {})).toBe(`${os.homedir()}/.local/state/redisforge`);
  });
});

describe('clusterPaths', () => {
  it('keeps everything of a cluster in one folder', () => {
    const paths = clusterPaths('/home', 'local');
    const { name, node, ...files } = paths;
    for (const file of [...Object.values(files), node(7001)]) expect(file).toMatch(/^\/home\/local/);
  });

  it.each(['', '.', '..', '../x', 'a/b', 'A', '-a', 'a b', 'x'.repeat(33)])('refuses the name %j', (name) => {
    expect(() => clusterPaths('/home', name)).toThrow(/is not a name/);
  });
});
