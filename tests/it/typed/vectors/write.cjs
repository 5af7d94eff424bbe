// Values of JavaScript as V8 stores them, one a line: a name, and the bytes in hexadecimal digits.
//
//   node write.cjs > node-20.txt           (20.20.2: version 15 of the format)
//   deno run write.cjs > deno-2.9.txt      (2.9.6: version 16)
//
// Node's come from the base class of its serialisers, which stores views as V8 does and as Deno does;
// those of `v8.serialize`, which does not, begin with `node_`.

const isDeno = typeof Deno !== 'undefined';
const node = isDeno ? null : require('node:v8');

function serialize(value) {
  if (isDeno) return Deno[Deno.internal].core.serialize(value, { forStorage: true });
  const serializer = new node.Serializer();
  serializer.writeHeader();
  serializer.writeValue(value);
  return serializer.releaseBuffer();
}

const shared = { x: 1 };
const cycle = {};
cycle.me = cycle;
const inner = [];
const outer = { a: [inner], b: inner };
inner.push(outer);
const buffer = new Uint8Array([1, 0, 2, 0]).buffer;
const resizable = new ArrayBuffer(4, { maxByteLength: 8 });
new Uint8Array(resizable).set([1, 2, 3, 4]);
const named = Object.assign([1, 2], { name: 'n' });
const holes = Object.assign([1, , 3], { name: 'n' });
const far = [];
far[1000] = 7;
const error = new RangeError('boom', { cause: { code: 7 } });
error.stack = 'RangeError: boom';
const plain = new Error();
plain.stack = 'Error';

const values = {
  undefined: undefined,
  null: null,
  true: true,
  false: false,
  zero: 0,
  minus_one: -1,
  int_max: 1073741823,
  int_min: -1073741824,
  uint_max: 4294967295,
  safe_max: Number.MAX_SAFE_INTEGER,
  minus_safe_max: Number.MIN_SAFE_INTEGER,
  half: 1.5,
  minus_zero: -0,
  nan: NaN,
  infinity: Infinity,
  bigint_zero: 0n,
  bigint: -12345678901234567890n,
  bigint_u64: 18446744073709551615n,
  bigint_i64: -9223372036854775808n,
  bigint_u128: 340282366920938463463374607431768211455n,
  bigint_i128: -170141183460469231731687303715884105728n,
  bigint_192: 2n ** 191n,
  empty: '',
  ascii: 'hello',
  latin1: 'café',
  utf16: '日本語',
  utf16_padded: 'é'.repeat(100) + '☃',
  emoji: '🦕',
  surrogate: '\ud800',
  object: { name: 'Ann', age: 30, mail: null, tags: ['a', 'b'] },
  object_of_indices: { 1: 'one', 20: 'twenty', 4294967294: 'big', x: 'x' },
  object_empty: {},
  object_with_undefined: { a: undefined, b: 1 },
  array: [1, 2, 3],
  array_empty: [],
  array_mixed: [1, 'two', null, [3.5]],
  array_named: named,
  array_holes: holes,
  array_made: new Array(3).fill(5),
  array_far: far,
  map: new Map([[1, 'one'], ['two', 2]]),
  map_of_strings: new Map([['a', 1]]),
  map_empty: new Map(),
  set: new Set(['red', 'green']),
  date: new Date(1700000000123),
  date_invalid: new Date(NaN),
  boxed: [new Number(1), new Boolean(true), new Boolean(false), new String('s'), Object(5n)],
  regexp: /a+\//giu,
  error,
  error_plain: plain,
  shared: [shared, shared, { again: shared }],
  shared_date: (date => [date, date])(new Date(5)),
  shared_behind_all: [
    new Date(0), new Number(1), new Boolean(true), Object(1n), new String('s'), /x/, error, new Map(),
    new Set(), holes, {}, [], new Uint8Array(1), buffer, resizable, new DataView(buffer), shared, shared,
  ],
  cycle,
  cycle_deep: outer,
  uint8: new Uint8Array([1, 2]),
  uint8_part: new Uint8Array(buffer, 1, 2),
  buffer,
  views: [new Uint8Array(buffer), new Uint16Array(buffer, 2), buffer],
  view_shared: (view => [view, view])(new Uint16Array(buffer)),
  data_view: new DataView(buffer, 1),
  resizable,
  resizable_view: new Uint8Array(resizable),
  resizable_part: new Uint8Array(resizable, 1, 2),
  int8: new Int8Array([-1, 1]),
  int16: new Int16Array([-2]),
  int32: new Int32Array([-3]),
  uint32: new Uint32Array([4294967295]),
  float32: new Float32Array([0.5]),
  float64: new Float64Array([1.5, -2]),
  bigint64: new BigInt64Array([-1n]),
  biguint64: new BigUint64Array([18446744073709551615n]),
  clamped: new Uint8ClampedArray([255]),
  variant_unit: 'Idle',
  variant_newtype: { Moved: 7 },
  variant_tuple: { Sized: [3, 4] },
  variant_struct: { Named: { name: 'n' } },
};
if (isDeno) {
  values.float16 = new Float16Array([1.5, -0.25, 65504, 2 ** -24]);
  values.host_object = new DOMException('gone');
  values.host_object.stack = 'Error: gone';
  values.shared_behind_host = [values.host_object, shared, shared];
}

const hex = bytes => Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('');
for (const [name, value] of Object.entries(values)) console.log(name, hex(serialize(value)));
if (!isDeno) {
  const views = [
    new Int8Array([-1]), new Uint8Array([1, 2]), new Uint8ClampedArray([3]), new Int16Array([-4]),
    new Uint16Array([5]), new Int32Array([-6]), new Uint32Array([7]), new Float32Array([0.5]),
    new Float64Array([1.5]), new DataView(buffer), Buffer.from('hi'), new BigInt64Array([-8n]),
    new BigUint64Array([9n]),
  ];
  console.log('node_views', hex(node.serialize(views)));
  console.log('shared_behind_host', hex(node.serialize([views[0], shared, shared])));
}
