import { type Allocate, type Bytes, copyBytes } from '../bytes.js';

/** Sizes of the buffers for clients and for nodes, and how many of each are kept. */
export const CLIENT_BUFFER_BYTES = 64 * 1024;
export const UPSTREAM_BUFFER_BYTES = 128 * 1024;
export const POOLED_BUFFERS_MAX = 64;

/**
 * Buffers of one size that go from hand to hand, so that a connection owns one only while it has something to say.
 */
export class BufferPool {
  private readonly free: Bytes[] = [];

  /**
   * @param size bytes in each buffer
   * @param keep buffers kept when nobody needs them; more are left to the garbage collector
   */
  constructor(
    private readonly allocate: Allocate,
    readonly size: number,
    private readonly keep: number,
  ) {}

  take(): Bytes {
    return this.free.pop() ?? this.allocate(this.size);
  }

  give(buffer: Bytes): void {
    if (this.free.length < this.keep) this.free.push(buffer);
  }
}

interface Segment {
  bytes: Bytes;
  start: number;
  end: number;
  /** Where the buffer goes once it is written. */
  pool: BufferPool | null;
}

/** Sends bytes and returns how many were taken; below 0 the connection is gone. */
export interface Sink {
  write(bytes: Uint8Array, offset: number, length: number): number;
}

/**
 * What waits to be written to one socket.
 *
 * Bytes that follow one another in the buffer that they came from are kept as a *run* and not copied until something
 * else comes after them; an output that consists of one run is written straight from where it was received. Everything
 * else is gathered in a pooled buffer, so that a turn of the event loop costs one write per socket; large pieces are
 * passed by reference.
 */
export class Output {
  /** Bytes that are not written yet. */
  bytes = 0;
  /** The socket took less than it was offered; it says when it can take more. */
  blocked = false;

  private run: Bytes | null = null;
  private runStart = 0;
  private runEnd = 0;
  private buffer: Bytes | null = null;
  private length = 0;
  private segments: Segment[] | null = null;

  constructor(private readonly pool: BufferPool) {}

  append(source: Bytes, start: number, end: number): void {
    if (start === end) return;
    this.bytes += end - start;
    if (this.run === source && this.runEnd === start) {
      this.runEnd = end;
      return;
    }
    if (this.run !== null) this.commitRun();
    this.run = source;
    this.runStart = start;
    this.runEnd = end;
  }

  /** The last `length` bytes, when they can be looked at: they were appended just now, in one piece. */
  last(length: number): Bytes | null {
    if (this.run === null || length === 0 || this.runEnd - this.runStart < length) return null;
    return this.run.subarray(this.runEnd - length, this.runEnd) as Bytes;
  }

  /** Takes over `buffer[0, end)`; the buffer goes back to `pool` once it is written. */
  adopt(buffer: Bytes, end: number, pool: BufferPool): void {
    if (this.run !== null) this.commitRun();
    this.closeBuffer();
    this.segments ??= [];
    this.segments.push({ bytes: buffer, start: 0, end, pool });
    this.bytes += end;
  }

  /** Moves the run behind what was appended before it. */
  private commitRun(): void {
    const source = this.run as Bytes;
    const start = this.runStart;
    const end = this.runEnd;
    this.run = null;
    const size = end - start;
    if (this.buffer !== null && this.length + size <= this.pool.size) {
      this.length = copyBytes(source, start, end, this.buffer, this.length);
      return;
    }
    this.closeBuffer();
    // A piece of half a buffer or more is not worth copying.
    if (size * 2 >= this.pool.size) {
      this.segments ??= [];
      this.segments.push({ bytes: source, start, end, pool: null });
      return;
    }
    this.buffer = this.pool.take();
    this.length = copyBytes(source, start, end, this.buffer, 0);
  }

  private closeBuffer(): void {
    if (this.buffer === null) return;
    this.segments ??= [];
    this.segments.push({ bytes: this.buffer, start: 0, end: this.length, pool: this.pool });
    this.buffer = null;
    this.length = 0;
  }

  /**
   * Offers everything to the sink. Returns the number of bytes taken; below 0 the connection is gone. Sets `blocked`
   * when not all of it was taken; call again when the socket drains.
   */
  flush(sink: Sink): number {
    if (this.segments === null) {
      if (this.buffer === null) {
        if (this.run === null) return 0;
        const size = this.runEnd - this.runStart;
        const taken = sink.write(this.run, this.runStart, size);
        if (taken === size) {
          this.run = null;
          this.bytes = 0;
          this.blocked = false;
          return taken;
        }
        if (taken < 0) return taken;
        this.runStart += taken;
        this.bytes -= taken;
        this.blocked = true;
        return taken;
      }
      if (this.run !== null) this.commitRun();
      if (this.segments === null) {
        const buffer = this.buffer as Bytes;
        const taken = sink.write(buffer, 0, this.length);
        if (taken === this.length) {
          this.pool.give(buffer);
          this.buffer = null;
          this.length = 0;
          this.bytes = 0;
          this.blocked = false;
          return taken;
        }
        if (taken < 0) return taken;
        this.segments = [{ bytes: buffer, start: taken, end: this.length, pool: this.pool }];
        this.buffer = null;
        this.length = 0;
        this.bytes -= taken;
        this.blocked = true;
        return taken;
      }
    } else if (this.run !== null) this.commitRun();
    this.closeBuffer();
    return this.flushSegments(sink);
  }

  private flushSegments(sink: Sink): number {
    const segments = this.segments as Segment[];
    let total = 0;
    let done = 0;
    let gone = false;
    this.blocked = false;
    for (; done < segments.length; done++) {
      const segment = segments[done];
      const size = segment.end - segment.start;
      const taken = sink.write(segment.bytes, segment.start, size);
      if (taken < 0) {
        gone = true;
        break;
      }
      total += taken;
      if (taken < size) {
        segment.start += taken;
        this.blocked = true;
        break;
      }
      segment.pool?.give(segment.bytes);
    }
    this.bytes -= total;
    this.segments = done === segments.length ? null : done === 0 ? segments : segments.slice(done);
    // What was taken before the connection broke counts: the next call says that it is gone.
    return gone && total === 0 ? -1 : total;
  }

  /** Drops everything; pooled buffers go back. */
  clear(): void {
    if (this.buffer !== null) this.pool.give(this.buffer);
    if (this.segments !== null) for (const { bytes, pool } of this.segments) pool?.give(bytes);
    this.run = null;
    this.buffer = null;
    this.length = 0;
    this.segments = null;
    this.bytes = 0;
    this.blocked = false;
  }
}
