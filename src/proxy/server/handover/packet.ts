import { ptr } from 'bun:ffi';
import {
  Errno,
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

/** Received: there is nothing at the moment; the other side has ended, or what came is not whole. */
export const NOTHING_YET = -1;
export const ENDED = 0;

/** What is sent or received, with one descriptor or without: room for one packet, used again for each. */
export class Packet {
  private readonly memory = new ArrayBuffer(PAYLOAD_AT + PACKET_BYTES_MAX);
  private readonly view = new DataView(this.memory);
  readonly payload = new Uint8Array(this.memory, PAYLOAD_AT);
  /** What was received with the last packet; below 0: nothing. */
  descriptor = -1;
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
   * @param descriptor below 0: none
   * @returns 0, or the system's error
   */
  send(socket: number, descriptor: number, length: number): number {
    const { view } = this;
    this.prepare(length);
    if (descriptor < 0) view.setBigUint64(40, 0n, true);
    view.setBigUint64(CONTROL_AT, BigInt(CONTROL_LENGTH), true);
    view.setInt32(CONTROL_AT + 8, SOL_SOCKET, true);
    view.setInt32(CONTROL_AT + 12, SCM_RIGHTS, true);
    view.setInt32(CONTROL_AT + 16, descriptor, true);
    const sent = this.system.sendmsg(socket, this.header, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent === length ? 0 : lastErrno(this.system) || 1;
  }

  /**
   * Receives a packet to `payload`, and what came with it to `descriptor`, which is the caller's to close.
   * @returns its length, or `NOTHING_YET`, or `ENDED`
   */
  receive(socket: number): number {
    const { view } = this;
    this.descriptor = -1;
    this.prepare(PACKET_BYTES_MAX);
    const length = this.system.recvmsg(socket, this.header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0) {
      const errno = lastErrno(this.system);
      return errno === Errno.EAGAIN || errno === Errno.EINTR ? NOTHING_YET : ENDED;
    }
    const came = view.getBigUint64(CONTROL_AT, true) === BigInt(CONTROL_LENGTH);
    const rights = came && view.getInt32(CONTROL_AT + 12, true) === SCM_RIGHTS;
    if (rights) this.descriptor = view.getInt32(CONTROL_AT + 16, true);
    if (length > 0 && (view.getInt32(FLAGS_AT, true) & (MSG_TRUNC | MSG_CTRUNC)) === 0) return length;
    if (rights) this.system.close(this.descriptor);
    this.descriptor = -1;
    return ENDED;
  }
}
