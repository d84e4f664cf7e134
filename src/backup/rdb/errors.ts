/** Why an RDB file cannot be read. Pure. */
import { ForgeError } from '../../errors.js';

/** It holds what this reader does not know, or more than it may take: a server that is there to load it has to. */
export class UnsupportedRdb extends ForgeError {
  /** @param what for example `values of type 99` */
  constructor(what: string, atByte: number) {
    super('refused', `The RDB holds ${what}, which this forge cannot read.`, {
      next: 'Update forge, or load the file with a server of the kind and version that wrote it.',
      details: { atByte },
    });
  }
}

/** Its bytes are not those of an RDB file, or not all of them. */
export class DamagedRdb extends ForgeError {
  constructor(why: string, atByte: number) {
    super('verification', `The RDB is damaged: ${why} (byte ${atByte}).`, {
      next: 'Take another backup of the list: forge backup list.',
      details: { atByte },
    });
  }
}
