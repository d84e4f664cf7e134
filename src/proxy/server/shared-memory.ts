/** What WebAssembly measures memory in. */
const PAGE_BYTES = 65_536;

/**
 * Zeroed memory that threads share, at least so many bytes, of which only what has been written is resident. A
 * `SharedArrayBuffer` of its own is no such memory: where the allocator reuses what the start has freed, it writes the
 * zeros. What backs a WebAssembly memory always comes fresh from the kernel.
 */
export function sharedMemory(bytes: number): SharedArrayBuffer {
  const pages = Math.ceil(bytes / PAGE_BYTES);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
    .buffer as unknown as SharedArrayBuffer;
}
