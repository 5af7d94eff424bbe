// What `kvick-serve-bench` asks of the servers with the client that Deno has built in.
//
// Each line of the input is a slice: a URL, a workload, how many are in flight, how long to warm up and how
// long to count, in milliseconds. Before counting begins it says so, and after counting what has come of it,
// in a line each.

const ACCOUNTS = 1_000;
const KEYS = 10_000;
const BALANCE = 1_000;
const VALUE_BYTES = 100;

const accounts = Array.from({ length: ACCOUNTS }, (_, index) => ["deno-accounts", index]);
const keys = Array.from({ length: KEYS }, (_, index) => ["deno-values", index]);
const random = (below: number) => Math.floor(Math.random() * below);

function value(index: number): Uint8Array {
  const value = new Uint8Array(VALUE_BYTES).fill(107);
  new DataView(value.buffer).setUint32(0, index);
  return value;
}

function assert(is: boolean, what: string): asserts is {
  if (!is) throw new Error(what);
}

async function fill(kv: Deno.Kv) {
  for (let from = 0; from < KEYS; from += 100) {
    const write = kv.atomic();
    for (let index = from; index < from + 100; index++) write.set(keys[index], value(index));
    assert((await write.commit()).ok, "the keys were not made");
  }
  for (let from = 0; from < ACCOUNTS; from += 100) {
    const write = kv.atomic();
    for (const account of accounts.slice(from, from + 100)) write.set(account, BALANCE);
    assert((await write.commit()).ok, "the accounts were not made");
  }
}

/** Of one moment, for another process may be at it. */
async function sum(kv: Deno.Kv): Promise<number> {
  const [selector, oneRead] = [{ prefix: ["deno-accounts"] }, { batchSize: ACCOUNTS }];
  let sum = 0;
  for await (const entry of kv.list<number>(selector, oneRead)) sum += entry.value;
  return sum;
}

/** Does one of a workload; whether it was done. */
type One = (kv: Deno.Kv) => Promise<boolean>;

const workloads: Record<string, One> = {
  async get(kv) {
    const index = random(KEYS);
    const { value } = await kv.get<Uint8Array>(keys[index]);
    const found = value?.length === VALUE_BYTES &&
      new DataView(value.buffer, value.byteOffset).getUint32(0) === index;
    assert(found, `the key ${index} has another value`);
    return true;
  },
  async set(kv) {
    const index = random(KEYS);
    return (await kv.set(keys[index], value(index))).ok;
  },
  async transfer(kv) {
    const from = random(ACCOUNTS);
    const to = (from + 1 + random(ACCOUNTS - 1)) % ACCOUNTS;
    const [one, other] = await kv.getMany<[number, number]>([accounts[from], accounts[to]]);
    assert(one.value !== null && other.value !== null, "there is no such account");
    const amount = Math.min(one.value, 1 + random(10));
    const { ok } = await kv.atomic()
      .check(one, other)
      .set(accounts[from], one.value - amount)
      .set(accounts[to], other.value + amount)
      .commit();
    return ok;
  },
};

interface Slice {
  url: string;
  workload: string;
  inFlight: number;
  warmUp: number;
  count: number;
}

async function run(kv: Deno.Kv, { workload, inFlight, warmUp, count }: Slice) {
  const one = workloads[workload];
  const from = performance.now() + warmUp;
  const until = from + count;
  const latencies: number[] = [];
  let conflicts = 0;
  let isCounting = false;
  const loop = async () => {
    for (;;) {
      const begun = performance.now();
      if (begun >= until) return;
      const done = await one(kv);
      const now = performance.now();
      if (now < from) continue;
      if (!isCounting) console.log("counting");
      isCounting = true;
      if (now >= until) return;
      if (done) latencies.push(now - begun);
      else conflicts++;
    }
  };
  const loops = Array.from({ length: inFlight }, loop);
  await Promise.race(loops);
  latencies.sort((one, other) => one - other);
  const micros = (part: number) => latencies[Math.floor(latencies.length * part)] * 1_000;
  const [p50, p99, p999] = [0.5, 0.99, 0.999].map(micros);
  const done = latencies.length;
  console.log(JSON.stringify({ done, conflicts, p50, p99, p999 }));
  await Promise.all(loops);
  const total = await sum(kv);
  assert(total === ACCOUNTS * BALANCE, `the accounts sum up to ${total}`);
  console.log("checked");
}

const open = new Map<string, Deno.Kv>();
let rest = "";
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + text).split("\n");
  rest = lines.pop() ?? "";
  for (const line of lines) {
    const slice: Slice = JSON.parse(line);
    let kv = open.get(slice.url);
    if (!kv) {
      kv = await Deno.openKv(slice.url);
      if ((await kv.get(accounts[ACCOUNTS - 1])).value === null) await fill(kv);
      open.set(slice.url, kv);
    }
    await run(kv, slice);
  }
}
for (const kv of open.values()) kv.close();
