#!/usr/bin/env node
// Gets a checkout ready: the right Node.js, the packages, a redis-server, a fresh build. Nothing to do: under a second.
//   --redis    a redis-server is needed as well
//   --tests    what `npm test` needs: a redis-server and the Redis clients of Python and Ruby
//   --bench    what `npm run bench` needs: a redis-server and nutcracker
//   --quiet    say nothing when there is nothing to do
//
// This file is read by whatever Node.js is installed, so it is written for the oldest; the work is in scripts/setup.
var REQUIRED = [20, 19];
var found = process.versions.node.split('.').map(Number);

if (found[0] < REQUIRED[0] || (found[0] === REQUIRED[0] && found[1] < REQUIRED[1])) {
  console.error(`setup: Node.js ${REQUIRED.join('.')} or newer is needed; this is ${process.versions.node}.`);
  console.error('  Install it from https://nodejs.org, your package manager, or with a version manager such as nvm.');
  process.exit(10);
} else {
  import('../scripts/setup/main.js').then(
    (setup) => setup.main(process.argv.slice(2)),
    (error) => {
      console.error('setup:', error);
      process.exit(1);
    },
  );
}
