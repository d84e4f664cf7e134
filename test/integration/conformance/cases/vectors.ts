import { script } from '../script.js';

/** Redis 8's vector sets; the others answer that they do not know them. */
export const VECTOR_SETS = script(
  'vector sets',
  `
  VADD v VALUES 3 1 0 0 east
  VADD v VALUES 3 0 1 0 north SETATTR '{"price":10}'
  VADD v VALUES 3 0.7 0.7 0 northeast
  VADD v VALUES 3 1 0 0 east
  VADD v VALUES 2 1 0 short
  VADD v VALUES x 1 0 short
  VADD v
  VADD
  VCARD v
  VCARD missing
  VCARD
  VDIM v
  VDIM missing
  VEMB v east
  VEMB v missing
  VEMB v east RAW
  VGETATTR v north
  VGETATTR v east
  VSETATTR v east '{"price":20}'
  VSETATTR v missing '{}'
  VGETATTR v east
  @mask:max-level,vset-uid,hnsw-max-node-uid VINFO v
  VINFO missing
  VISMEMBER v east
  VISMEMBER v missing
  VISMEMBER v
  @shape VLINKS v missing
  @class VLINKS v
  @unordered VRANDMEMBER v 100
  @shape VRANDMEMBER v
  VRANDMEMBER missing
  VSIM v VALUES 3 1 0 0 COUNT 3
  VSIM v VALUES 3 1 0 0 WITHSCORES COUNT 2
  VSIM v ELE north COUNT 1
  VSIM v ELE missing
  VSIM v VALUES 3 1 0 0 FILTER '.price > 15'
  VSIM missing VALUES 3 1 0 0
  VREM v east
  VREM v missing
  VREM v
  SET s text
  VADD s VALUES 3 1 0 0 x
  VCARD s
  VSIM s VALUES 3 1 0 0
  `,
);
