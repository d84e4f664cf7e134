/** Whether a port accepts TCP connections from here: a hint about a cluster bus port, no proof about other hosts. */
import net from 'node:net';

export type PortState = 'open' | 'refused' | 'silent';

/** Resolves to `silent` when nothing answers within `boundMs`. Never throws. */
export async function probePort(ip: string, port: number, boundMs: number): Promise<PortState> {
  return new Promise((resolve) => {
    if (port < 1 || port > 65_535) return resolve('refused');
    const socket = net.connect({ host: ip, port });
    const finish = (state: PortState) => {
      socket.destroy();
      resolve(state);
    };
    socket.setTimeout(boundMs, () => finish('silent'));
    socket.once('connect', () => finish('open'));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      finish(error.code === 'ECONNREFUSED' ? 'refused' : 'silent'),
    );
  });
}
