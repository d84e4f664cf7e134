import { dlopen, type FFIFunction } from 'bun:ffi';

/** The C library, by the names that it has on Linux: glibc's, then musl's for each processor. */
const LIBRARIES = ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1'];

/** Functions of the C library. Null where there is none that is known: on other systems, and where it has another name. */
export function openLibc<const Functions extends Record<string, FFIFunction>>(functions: Functions) {
  if (process.platform !== 'linux') return null;
  for (const library of LIBRARIES) {
    try {
      return dlopen(library, functions);
    } catch {
      // It has another name here.
    }
  }
  return null;
}

type Library = ReturnType<typeof open>;

let loaded: Library | undefined;

/** What the runtime has no words for. Null where there is no such library: then what needs it is done without. */
export function loadLibc(): Library {
  loaded ??= open();
  return loaded;
}

function open() {
  return (
    openLibc({
      setsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'u32'], returns: 'i32' },
      socket: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
      sendto: { args: ['i32', 'ptr', 'u64', 'i32', 'ptr', 'u32'], returns: 'i64' },
      bind: { args: ['i32', 'ptr', 'u32'], returns: 'i32' },
      listen: { args: ['i32', 'i32'], returns: 'i32' },
      connect: { args: ['i32', 'ptr', 'u32'], returns: 'i32' },
      fcntl: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
      close: { args: ['i32'], returns: 'i32' },
    })?.symbols ?? null
  );
}
