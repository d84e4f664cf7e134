// A process of its own: one publisher and many subscribers of one channel. It publishes whenever fewer than WINDOW
// messages are still on their way to somebody, so that nobody falls behind and whoever is measured always has work. All
// messages have one size, so deliveries are counted in bytes, which costs the least here.
//
//   node pubsub-client.js '{"port":…,"subscribers":…,"window":…,"seconds":…,"warmUpSeconds":…}'
//
// Prints one JSON document: { subscribers, deliveries, seconds, perSecond, published }. On standard error it says `begin`
// and `end` when the measured time does, for whoever reads processor times.
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const { port, subscribers: count, window, seconds, warmUpSeconds } = JSON.parse(process.argv[2]);
const CHANNEL = 'bench:channel';
const PAYLOAD = 'x'.repeat(64);
const OPENING_MAX = 100;
const SILENCE_MS = 20_000;
/** More than a subscriber gets in one go. */
const BUFFER_BYTES = 64 * 1024;

const bulk = (text) => `$${text.length}\r\n${text}\r\n`;
const command = (...words) => `*${words.length}\r\n${words.map(bulk).join('')}`;
const MESSAGE_BYTES = command('message', CHANNEL, PAYLOAD).length;
const PUBLISH = command('PUBLISH', CHANNEL, PAYLOAD);
const CONFIRMATION_BYTES = `*3\r\n${bulk('subscribe')}${bulk(CHANNEL)}:1\r\n`.length;

const fail = (reason) => {
  console.error(reason);
  process.exit(1);
};

let received = 0;
let published = 0;
/** One buffer for all: what is in it is not looked at. */
const scratch = Buffer.allocUnsafe(BUFFER_BYTES);

function open(heard) {
  return new Promise((resolve) => {
    const socket = net.connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: { buffer: scratch, callback: (bytes) => heard(bytes) },
    });
    socket.once('connect', () => resolve(socket));
    socket.on('error', (error) => fail(`connection lost: ${error.message}`));
    socket.on('close', () => fail('a connection was closed'));
  });
}

let confirmed = 0;
const onMessage = (bytes) => {
  received += bytes;
  if (running) publish();
  return true;
};

let running = false;
let publisher;

/** Fills the window. */
function publish() {
  const done = Math.floor(received / MESSAGE_BYTES / count);
  const room = window - (published - done);
  if (room <= 0) return;
  published += room;
  publisher.write(room === 1 ? PUBLISH : PUBLISH.repeat(room));
}

for (let opened = 0; opened < count; opened += OPENING_MAX) {
  await Promise.all(
    Array.from({ length: Math.min(OPENING_MAX, count - opened) }, async () => {
      let left = CONFIRMATION_BYTES;
      const socket = await open((bytes) => {
        if (left === 0) return onMessage(bytes);
        left -= bytes;
        if (left === 0) confirmed++;
        return true;
      });
      socket.write(command('SUBSCRIBE', CHANNEL));
    }),
  );
}
for (let waited = 0; confirmed < count; waited += 10) {
  if (waited > SILENCE_MS) fail(`only ${confirmed} subscriptions were confirmed`);
  await sleep(10);
}
publisher = await open(() => true);
running = true;
publish();
await sleep(warmUpSeconds * 1_000);
console.error('begin');
const [from, started] = [received, performance.now()];
await sleep(seconds * 1_000);
const [to, ended] = [received, performance.now()];
console.error('end');
running = false;
// Everything that was published must arrive.
for (let waited = 0; received < published * count * MESSAGE_BYTES; waited += 10) {
  if (waited > SILENCE_MS) fail(`${published * count - received / MESSAGE_BYTES} deliveries are missing`);
  await sleep(10);
}
const deliveries = (to - from) / MESSAGE_BYTES;
const elapsed = (ended - started) / 1_000;
console.log(
  JSON.stringify({ subscribers: count, deliveries, seconds: elapsed, perSecond: deliveries / elapsed, published }),
);
process.exit(0);
