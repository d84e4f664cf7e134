/** The tests' own engine: that it leaves nothing behind, however it ends. */
import { expect, it } from 'vitest';
import { baseImage } from '../support/docker/base-images.js';
import { startDaemon } from '../support/docker/daemon.js';
import { hasDocker } from '../support/docker/engine.js';
import { findLeftovers } from '../support/docker/leftovers.js';

it.skipIf(!hasDocker()).each(['stopped', 'killed'])('an engine that is %s leaves nothing behind', async (how) => {
  const docker = await startDaemon();
  try {
    const image = await baseImage(docker, 'installed');
    await docker.run(['network', 'create', 'other']);
    const limits = ['--memory', '64m', '--cpus', '1', '--network', 'other', '-p', '127.0.0.1::6379'];
    await docker.run(['run', '-d', '--restart', 'always', ...limits, '-v', 'data:/data', image, 'sleep', '1000']);
    const found = (await findLeftovers(docker.place)).join('\n');
    expect(found).toMatch(/process.*mount.*network link br-.*control group/s);
    if (how === 'killed') process.kill(docker.pid, 'SIGKILL');
  } finally {
    await docker.stop();
  }
  expect(await findLeftovers(docker.place)).toEqual([]);
});
