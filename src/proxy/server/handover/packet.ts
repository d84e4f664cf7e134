import { ptr } from 'bun:ffi';
import {
  lastErrno,
  MSG_CMSG_CLOEXEC,
  MSG_CTRUNC,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  MSG_TRUNC,
  SCM_RIGHTS,
  SOL_SOCKET,
  type System,
} from '../sockets/system.js';

/** Bytes that go with a descriptor. */
export const PACKET_BYTES_MAX = 128 * 1024;

/** `struct msghdr`, `struct iovec` and `struct cmsghdr` with one descriptor, of 64-bit Linux (sendmsg(2), cmsg(3)). */
const HEADER_BYTES = 56;
const IOV_AT = 64;
const CONTROL_AT = 96;
const CONTROL_BYTES = 24;
const CONTROL_LENGTH = 20;
const FLAGS_AT = 48;
const PAYLOAD_AT = 128;

/** What one descriptor is sent with, or received: room for one packet, used again for each. */
export class Packet {
  private readonly memory = new ArrayBuffer(PAYLOAD_AT + PACKET_BYTES_MAX);
  private readonly view = new DataView(this.memory);
  readonly payload = new Uint8Array(this.memory, PAYLOAD_AT);
  private readonly header = new Uint8Array(this.memory, 0, HEADER_BYTES);

  constructor(private readonly system: System) {}

  private prepare(length: number): void {
    const { view } = this;
    const at = BigInt(ptr(this.memory));
    new Uint8Array(this.memory, 0, PAYLOAD_AT).fill(0);
    view.setBigUint64(16, at + BigInt(IOV_AT), true);
    view.setBigUint64(24, 1n, true);
    view.setBigUint64(32, at + BigInt(CONTROL_AT), true);
    view.setBigUint64(40, BigInt(CONTROL_BYTES), true);
    view.setBigUint64(IOV_AT, at + BigInt(PAYLOAD_AT), true);
    view.setBigUint64(IOV_AT + 8, BigInt(length), true);
  }

  /**
   * Sends `payload[0, length)` and a descriptor, which stays open here as well.
   * @returns 0, or the system's error
   */
  send(socket: number, descriptor: number, length: number): number {
    const { view } = this;
    this.prepare(length);
    view.setBigUint64(CONTROL_AT, BigInt(CONTROL_LENGTH), true);
    view.setInt32(CONTROL_AT + 8, SOL_SOCKET, true);
    view.setInt32(CONTROL_AT + 12, SCM_RIGHTS, true);
    view.setInt32(CONTROL_AT + 16, descriptor, true);
    const sent = this.system.sendmsg(socket, this.header, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent === length ? 0 : lastErrno(this.system) || 1;
  }

  /** Receives a packet to `payload`. Null when there is none, or it is not whole. */
  receive(socket: number): { readonly descriptor: number; readonly length: number } | null {
    const { view } = this;
    this.prepare(PACKET_BYTES_MAX);
    const length = this.system.recvmsg(socket, this.header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    const came = view.getBigUint64(CONTROL_AT, true) === BigInt(CONTROL_LENGTH);
    const rights = came && view.getInt32(CONTROL_AT + 12, true) === SCM_RIGHTS;
    if (length <= 0 || !rights) return null;
    const descriptor = view.getInt32(CONTROL_AT + 16, true);
    if ((view.getInt32(FLAGS_AT, true) & (MSG_TRUNC | MSG_CTRUNC)) === 0) return { descriptor, length };
    this.system.close(descriptor);
    return null;
  }
}
