/** A service manager's side of sd_notify(3), run by Bun: prints what comes to the Unix datagram socket of its argument. */
import { dlopen, ptr } from 'bun:ffi';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const { socket, bind, recv } = dlopen('libc.so.6', {
  socket: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
  bind: { args: ['i32', 'ptr', 'u32'], returns: 'i32' },
  recv: { args: ['i32', 'ptr', 'u64', 'i32'], returns: 'i64' },
}).symbols;
const path = new TextEncoder().encode(process.argv[2]);
const address = new Uint8Array(3 + path.length);
address[0] = AF_UNIX;
address.set(path, 2);
const fd = socket(AF_UNIX, SOCK_DGRAM, 0);
if (bind(fd, ptr(address), address.length) !== 0) throw new Error(`cannot bind ${process.argv[2]}`);
process.stdout.write('bound\n');
const buffer = new Uint8Array(4096);
for (;;) {
  const length = Number(recv(fd, ptr(buffer), buffer.length, 0));
  process.stdout.write(`${new TextDecoder().decode(buffer.subarray(0, length)).replaceAll('\n', ' ')}\n`);
}
