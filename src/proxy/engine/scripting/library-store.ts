import type { Reply } from '../resp/decode.js';

/** A library of functions, as FUNCTION LIST WITHCODE describes it. */
export interface Library {
  readonly name: string;
  readonly code: string;
  readonly functions: readonly string[];
}

export interface LibraryBounds {
  readonly librariesMax: number;
  /** Characters of code, over all libraries. */
  readonly libraryBytesMax: number;
}

/** The function libraries that were last loaded through the proxy. Those beyond the bounds are not remembered. */
export class LibraryStore {
  private readonly byFunction = new Map<string, Library>();
  private libraries = 0;
  private characters = 0;
  private changed = false;

  constructor(private readonly bounds: LibraryBounds) {}

  /** Every library that there is now. */
  replace(libraries: readonly Library[]): void {
    this.changed = true;
    this.byFunction.clear();
    this.libraries = this.characters = 0;
    for (const library of libraries) this.add(library);
  }

  /** What servers had when the proxy started; of no interest once something has changed through it. */
  offer(libraries: readonly Library[]): void {
    if (this.changed) return;
    for (const library of libraries) this.add(library);
  }

  private add(library: Library): void {
    const { librariesMax, libraryBytesMax } = this.bounds;
    const characters = this.characters + library.code.length;
    if (this.libraries >= librariesMax || characters > libraryBytesMax) return;
    this.libraries++;
    this.characters = characters;
    for (const name of library.functions) this.byFunction.set(name.toLowerCase(), library);
  }

  withFunction(name: string): Library | null {
    return this.byFunction.get(name.toLowerCase()) ?? null;
  }
}

/** Field name → value of a flat list of pairs. */
function fields(list: Reply): Map<Reply, Reply> {
  const map = new Map<Reply, Reply>();
  if (Array.isArray(list)) for (let i = 0; i + 1 < list.length; i += 2) map.set(list[i], list[i + 1]);
  return map;
}

/** Reads the reply to FUNCTION LIST WITHCODE; what is not as expected is left out. */
export function readLibraries(reply: Reply): Library[] {
  if (!Array.isArray(reply)) return [];
  return reply.flatMap((each) => {
    const library = fields(each);
    const name = library.get('library_name');
    const code = library.get('library_code');
    const functions = library.get('functions');
    if (typeof name !== 'string' || typeof code !== 'string' || !Array.isArray(functions)) return [];
    const names = functions.map((one) => fields(one).get('name'));
    return [{ name, code, functions: names.filter((one): one is string => typeof one === 'string') }];
  });
}
