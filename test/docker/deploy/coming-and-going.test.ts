/** Two deployments of one cluster on one host: what one makes and removes, the other may have seen the moment before. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { observeHost } from '../../../src/deploy/observed.js';
import { parseEndpoint } from '../../../src/docker/endpoint.js';
import { DockerEngine } from '../../../src/docker/engine.js';
import { baseImage } from '../../support/docker/base-images.js';
import { dockerForTests, hasDocker, type TestDocker } from '../../support/docker/engine.js';

const CLUSTER = `g${process.pid}`;
const LABEL = `io.redisforge.cluster=${CLUSTER}`;
const LOOKS = 5;

describe.skipIf(!hasDocker())('a host on which containers come and go', () => {
  let docker: TestDocker;
  let image: string;
  beforeAll(async () => {
    docker = (await dockerForTests()) as TestDocker;
    image = await baseImage(docker, 'installed');
  });
  afterAll(async () => docker.stop());

  it('is looked at all the same', async () => {
    const engine = new DockerEngine(parseEndpoint(docker.host, 'here'));
    const create = () => docker.run(['create', '--label', LABEL, image, 'true']);
    const kept = await create();
    let busy = true;
    const comingAndGoing = Array.from({ length: 2 }, async () => {
      while (busy) await docker.run(['rm', await create()]);
    });
    try {
      for (let look = 0; look < LOOKS; look++) {
        const { containers } = await observeHost(engine, CLUSTER, []);
        expect(containers.map(({ id }) => id)).toContain(kept);
      }
    } finally {
      busy = false;
      await Promise.all(comingAndGoing);
      await docker.run(['rm', kept]);
    }
  });
});
