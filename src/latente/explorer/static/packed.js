/** Packed arrays: a length, JSON with names and shapes, and the arrays, as packed.py writes. */

const TYPES = { u1: Uint8Array, i4: Int32Array, u4: Uint32Array, f4: Float32Array };
const ALIGNED = 8;

/**
 * Read packed arrays.
 *
 * @param {ArrayBuffer} buffer A length, JSON with the arrays' names and shapes, and the arrays.
 * @returns {{meta: object, [name: string]: {data: any, shape: number[]}}}
 */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const arrays = { meta: head.meta ?? {} };
  let start = 4 + length;
  for (const { name, dtype, shape } of head.arrays) {
    const Type = TYPES[dtype];
    const size = shape.reduce((product, axis) => product * axis, 1);
    arrays[name] = { data: new Type(buffer, start, size), shape };
    start += Math.ceil((size * Type.BYTES_PER_ELEMENT) / ALIGNED) * ALIGNED;
  }
  return arrays;
}
