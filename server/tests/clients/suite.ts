// What Deno KV promises its programs, through the unmodified clients of Deno and of Node.

import { assert, assertEquals, refusal, test, within } from "./harness.ts";

// deno-lint-ignore no-explicit-any
type Kv = any;

/** Each test has a prefix for its keys. */
async function fresh(kv: Kv, prefix: string): Promise<void> {
  for await (const entry of kv.list({ prefix: [prefix] })) {
    await kv.delete(entry.key);
  }
}

async function all(entries: AsyncIterable<{ key: unknown[]; value: unknown }>) {
  const found = [];
  for await (const entry of entries) found.push(entry);
  return found;
}

test("what is set is got, with a versionstamp, until it is deleted", async ({ openKv, url }) => {
  const kv = await openKv(url);
  const key = ["basic", "greeting"];
  const { ok, versionstamp } = await kv.set(key, "hello");
  assert(ok, () => "it is set");
  const entry = await kv.get(key);
  assertEquals(entry.key, key);
  assertEquals(entry.value, "hello");
  assertEquals(entry.versionstamp, versionstamp);
  assert(/^[0-9a-f]{20}$/.test(versionstamp), () => versionstamp);
  const later = await kv.set(key, "again");
  assert(later.versionstamp > versionstamp, () => `${later.versionstamp} after ${versionstamp}`);
  const eventual = { consistency: "eventual" };
  assertEquals((await kv.get(key, eventual)).versionstamp, later.versionstamp);
  assertEquals((await kv.getMany([key], eventual))[0].value, "again");
  assertEquals((await all(kv.list({ prefix: ["basic"] }, eventual))).length, 1);
  await kv.delete(key);
  const gone = await kv.get(key);
  assertEquals(gone.value, null);
  assertEquals(gone.versionstamp, null);
  kv.close();
});

test("keys of all types are stored, and listed in their order", async ({ name, openKv, url }) => {
  const kv = await openKv(url);
  await fresh(kv, "keys");
  const parts: unknown[] = [
    new Uint8Array([0]), new Uint8Array([0, 255]), new Uint8Array([1]),
    "", "\0", "a", "a\0b", "ä", "\u{1f600}",
    -(2n ** 200n), -256n, -1n, 0n, 1n, 255n, 2n ** 64n, 2n ** 1_000n,
    -Infinity, -1.5, ...(name === "deno" ? [-0] : []), 0, 1, 1.5, Number.MAX_VALUE, Infinity,
    false, true,
  ];
  const shuffled = parts.map((part, index) => ({ part, index })).sort((one, other) =>
    (one.index * 7919) % 31 - (other.index * 7919) % 31
  );
  for (const { part, index } of shuffled) {
    const { ok } = await kv.set(["keys", part], index);
    assert(ok, () => `key ${String(part)}`);
    assertEquals((await kv.get(["keys", part])).value, index, `key ${String(part)}`);
  }
  const listed = await all(kv.list({ prefix: ["keys"] }));
  assertEquals(listed.map(({ key }) => key[1]), parts);
  const reversed = await all(kv.list({ prefix: ["keys"] }, { reverse: true }));
  assertEquals(reversed.map(({ value }) => value), parts.map((_, index) => index).reverse());
  kv.close();
});

test("values of all types come back as they were", async ({ KvU64, openKv, url }) => {
  const kv = await openKv(url);
  const key = ["values"];
  const values: unknown[] = [
    undefined, null, true, false, 0, -0, 1.5, NaN, Infinity, -(2 ** 31), 2 ** 53, "", "text", "\u{1f600}\0",
    0n, -1n, 2n ** 256n, new Date(0), /a+/gi, new Uint8Array([0, 255]), new Uint8Array(),
    new Uint16Array([1, 65_535]), new Float64Array([1.5, -0]), new ArrayBuffer(3),
    [], [1, , 3], {}, { a: { b: [1, "2", null, undefined] } }, new Map([[1, { a: 2 }]]),
    new Set(["a", 1n]), new Error("a message"), new RangeError("another"),
  ];
  for (const value of values) {
    await kv.set(key, value);
    const entry = await kv.get(key);
    assertEquals(entry.value, value, `value ${String(value)}`);
    assert(entry.versionstamp !== null, () => "it is there, whatever its value is");
  }
  const cyclic: Record<string, unknown> = { name: "cyclic" };
  cyclic.self = cyclic;
  await kv.set(key, cyclic);
  const back = (await kv.get(key)).value as typeof cyclic;
  assert(back.self === back && back.name === "cyclic", () => "it leads to itself");
  await kv.set(key, new KvU64(2n ** 64n - 1n));
  assertEquals((await kv.get(key)).value.value, 2n ** 64n - 1n);
  await kv.set(key, "x".repeat(65_000));
  assertEquals((await kv.get(key)).value.length, 65_000);
  kv.close();
});

test("several keys are got at one moment, in their order", async ({ openKv, url }) => {
  const kv = await openKv(url);
  await kv.set(["many", 1], 1);
  await kv.set(["many", 3], 3);
  const keys = [["many", 3], ["many", 2], ["many", 1], ["many", 3]];
  const entries = await kv.getMany(keys);
  assertEquals(entries.map((entry: Kv) => entry.value), [3, null, 1, 3]);
  assertEquals(entries.map((entry: Kv) => entry.key), keys);
  kv.close();
});

test("a list has its bounds, its limit, its direction and its cursor", async ({ openKv, url }) => {
  const kv = await openKv(url);
  await fresh(kv, "list");
  for (let number = 0; number < 250; number += 1) {
    await kv.set(["list", number], number);
  }
  const numbers = async (selector: unknown, options?: unknown) =>
    (await all(kv.list(selector, options))).map(({ value }) => value);
  const upTo = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, index) => from + index);
  assertEquals(await numbers({ prefix: ["list"] }), upTo(0, 250));
  assertEquals(await numbers({ prefix: ["list"] }, { batchSize: 7 }), upTo(0, 250));
  assertEquals(await numbers({ prefix: ["list"], start: ["list", 245] }), upTo(245, 250));
  assertEquals(await numbers({ prefix: ["list"], end: ["list", 5] }), upTo(0, 5));
  assertEquals(await numbers({ start: ["list", 10], end: ["list", 13] }), [10, 11, 12]);
  assertEquals(await numbers({ prefix: ["list"] }, { limit: 3, reverse: true }), [249, 248, 247]);
  assertEquals(await numbers({ prefix: ["nothing"] }), []);
  const iterator = kv.list({ prefix: ["list"] }, { limit: 100 });
  await all(iterator);
  const rest = kv.list({ prefix: ["list"] }, { cursor: iterator.cursor });
  assertEquals((await all(rest)).map(({ value }) => value), upTo(100, 250));
  kv.close();
});

test("an atomic operation is done whole or not at all", async ({ KvU64, openKv, url }) => {
  const kv = await openKv(url);
  await fresh(kv, "atomic");
  const [one, other, count] = [["atomic", 1], ["atomic", 2], ["atomic", "count"]];
  const committed = await kv.atomic()
    .check({ key: one, versionstamp: null })
    .set(one, "one")
    .set(other, "other")
    .sum(count, 5n)
    .min(["atomic", "min"], 3n)
    .max(["atomic", "max"], 7n)
    .delete(["atomic", "nothing"])
    .commit();
  assert(committed.ok, () => "it is committed");
  const entries = await kv.getMany([one, other, count]);
  const stamps = entries.map((entry: Kv) => entry.versionstamp);
  assertEquals(stamps, [committed.versionstamp, committed.versionstamp, committed.versionstamp]);
  assertEquals(entries[2].value.value, 5n);
  const conflict = await kv.atomic()
    .check({ key: one, versionstamp: null })
    .set(other, "changed")
    .commit();
  assertEquals(conflict.ok, false);
  assertEquals((await kv.get(other)).value, "other");
  const changed = await kv.atomic().check(entries[0]).set(one, "changed").commit();
  assert(changed.ok, () => "the check holds");
  await kv.atomic().mutate(
    { type: "sum", key: count, value: new KvU64(2n ** 64n - 1n) },
    { type: "min", key: ["atomic", "min"], value: new KvU64(9n) },
    { type: "max", key: ["atomic", "max"], value: new KvU64(9n) },
    { type: "delete", key: one },
    { type: "set", key: other, value: null },
  ).commit();
  const after = await kv.getMany([count, ["atomic", "min"], ["atomic", "max"], one, other]);
  assertEquals(after.slice(0, 3).map((entry: Kv) => entry.value.value), [4n, 3n, 9n]);
  assertEquals(after[3].versionstamp, null);
  assert(after[4].value === null && after[4].versionstamp !== null, () => "null is a value");
  kv.close();
});

test("a refused operation says why, and has changed nothing", async ({ openKv, url }) => {
  const kv = await openKv(url);
  const [text, before] = [["refused", "text"], ["refused", "before"]];
  await kv.set(text, "text");
  await kv.delete(before);
  const error = await refusal(() => kv.atomic().set(before, 1).sum(text, 1n).commit());
  assert(/sum/i.test(error.message), () => error.message);
  assertEquals((await kv.get(before)).versionstamp, null, "what came before it");
  assertEquals((await kv.get(text)).value, "text");
  const large = await refusal(() => kv.set(text, new Uint8Array(65_537)));
  assert(/too large/i.test(large.message), () => large.message);
  const long = await refusal(() => kv.set(["refused", "x".repeat(3_000)], 1));
  assert(/too large/i.test(long.message), () => long.message);
  // No client could receive it.
  const message = await refusal(() => kv.atomic().set(before, 1).enqueue("message").commit());
  assert(/enqueue/i.test(message.message), () => message.message);
  assertEquals((await kv.get(before)).versionstamp, null, "what came with it");
  kv.close();
});

test("many checks and mutations fit into one operation", async ({ openKv, url }) => {
  const kv = await openKv(url);
  await fresh(kv, "large");
  const operation = kv.atomic();
  for (let number = 0; number < 100; number += 1) {
    operation.check({ key: ["large", number], versionstamp: null });
  }
  for (let number = 0; number < 1_000; number += 1) {
    operation.set(["large", number], number);
  }
  assert((await operation.commit()).ok, () => "it is committed");
  assertEquals((await all(kv.list({ prefix: ["large"] }))).length, 1_000);
  kv.close();
});

test("an entry is gone when its time is over", async ({ openKv, url }) => {
  const kv = await openKv(url);
  const [key, other] = [["expiring"], ["expiring", "other"]];
  await kv.set(key, 1, { expireIn: 300 });
  await kv.atomic().set(other, 1, { expireIn: 300 }).set(["expiring", "lasting"], 1).commit();
  assertEquals((await kv.getMany([key, other])).map(({ value }: Kv) => value), [1, 1]);
  const begun = Date.now();
  const isThere = ({ versionstamp }: Kv) => versionstamp !== null;
  while ((await kv.getMany([key, other])).some(isThere)) {
    assert(Date.now() - begun < 10_000, () => "it is still there");
    await new Promise((done) => setTimeout(done, 20));
  }
  assert(Date.now() - begun < 5_000, () => "it was there for seconds");
  const { ok } = await kv.atomic().check({ key, versionstamp: null }).set(key, 2).commit();
  assert(ok, () => "it is missing for a check, too");
  assertEquals((await kv.get(["expiring", "lasting"])).value, 1);
  kv.close();
});

test("a key can end in the versionstamp of its commit", async ({ name, openKv, url }) => {
  const kv = await openKv(url);
  await fresh(kv, "log");
  // It is of the runtime alone.
  assertEquals(typeof kv.commitVersionstamp, name === "deno" ? "function" : "undefined");
  if (name === "deno") {
    const stamps = [];
    for (const value of ["first", "second"]) {
      const { versionstamp } = await kv.set(["log", kv.commitVersionstamp()], value);
      stamps.push(versionstamp);
    }
    const listed = await all(kv.list({ prefix: ["log"] }));
    assertEquals(listed.map(({ value }) => value), ["first", "second"]);
    assertEquals(listed.map(({ key }) => key[1]), stamps);
  }
  kv.close();
});

test("a watch shows the state, and then each change", async ({ openKv, url }) => {
  const kv = await openKv(url);
  const [one, other] = [["watched", 1], ["watched", 2]];
  await kv.set(one, "before");
  await kv.delete(other);
  const reader = kv.watch([one, other]).getReader();
  const next = async () => {
    const { value } = await within<Kv>(20_000, reader.read(), "a change");
    return value.map((entry: Kv) => entry.value);
  };
  assertEquals(await next(), ["before", null]);
  const wait = async (expected: unknown[]) => {
    for (;;) {
      const shown = await next();
      if (JSON.stringify(shown) === JSON.stringify(expected)) return;
    }
  };
  await kv.set(other, "new");
  await wait(["before", "new"]);
  await kv.atomic().set(one, "both").delete(other).commit();
  await wait(["both", null]);
  await reader.cancel();
  // Of each change, where that is asked for.
  const raw = kv.watch([one], { raw: true }).getReader();
  const { value } = await within<Kv>(20_000, raw.read(), "the state");
  assertEquals(value[0].value, "both");
  await raw.cancel();
  kv.close();
});

test("thirty-two writers that conflict conserve the sum", async ({ openKv, url }) => {
  const kv = await openKv(url);
  const [accounts, writers, transfers, each] = [4, 32, 10, 100];
  for (let account = 0; account < accounts; account += 1) {
    await kv.set(["accounts", account], each);
  }
  let conflicts = 0;
  const writer = async (seed: number) => {
    let state = seed + 1;
    const below = (bound: number) => {
      state = (state * 48_271) % 2_147_483_647;
      return state % bound;
    };
    for (let done = 0; done < transfers;) {
      const from = below(accounts);
      const to = (from + 1 + below(accounts - 1)) % accounts;
      const [source, target] = await kv.getMany([["accounts", from], ["accounts", to]]);
      const { ok } = await kv.atomic()
        .check(source).check(target)
        .set(source.key, source.value - 1)
        .set(target.key, target.value + 1)
        .commit();
      if (ok) done += 1;
      else conflicts += 1;
    }
  };
  await Promise.all(Array.from({ length: writers }, (_, seed) => writer(seed)));
  const entries = await all(kv.list({ prefix: ["accounts"] }));
  const sum = entries.reduce((sum, { value }) => sum + (value as number), 0);
  assertEquals(sum, accounts * each);
  assert(conflicts > 0, () => "they did not meet");
  kv.close();
});

test("sums of many clients at once are all counted", async ({ openKv, url }) => {
  const clients = await Promise.all(Array.from({ length: 4 }, () => openKv(url)));
  const key = ["counter"];
  await clients[0].delete(key);
  await Promise.all(clients.map(async (kv: Kv) => {
    for (let round = 0; round < 100; round += 1) {
      const { ok } = await kv.atomic().sum(key, 1n).commit();
      assert(ok, () => "a sum does not conflict");
    }
  }));
  assertEquals((await clients[0].get(key)).value.value, 400n);
  for (const kv of clients) kv.close();
});

test("a wrong token opens nothing", async ({ openKv, openKvWith, url }) => {
  const key = ["token"];
  const right = await openKv(url);
  await right.set(key, "secret");
  for (const wrong of ["a-token-that-is-wrong", "a-token-of-the-client", "a-token-of-the-clients-"]) {
    const error = await refusal(async () => {
      const kv = await openKvWith(url, wrong);
      try {
        const entry = await within<Kv>(20_000, kv.get(key), "a refusal");
        assertEquals(entry.value, "what is not to be shown");
      } finally {
        kv.close();
      }
    });
    assert(/401|authoriz|metadata|token/i.test(error.message), () => error.message);
    assert(!/secret/.test(error.message), () => error.message);
  }
  assertEquals((await right.get(key)).value, "secret");
  right.close();
});

/** The values of the literals of the command line, by their names: those of xtask/src/clients.rs. */
function literals(KvU64: new (value: bigint) => unknown): Record<string, unknown> {
  return {
    undefined: undefined,
    null: null,
    true: true,
    number: -1.5e3,
    infinity: -Infinity,
    nan: NaN,
    zero: -0,
    bigint: -(2n ** 70n),
    text: "ä\n\u{1f600}",
    empty: "",
    bytes: new Uint8Array([0, 255]),
    u64: new KvU64(2n ** 64n - 1n),
    date: new Date(1_700_000_000_000),
    array: [1, "2", [3n, null]],
    object: { a: { b: [true] }, "c d": undefined },
    map: new Map<unknown, unknown>([["a", 1], [2, new Set([3])]]),
  };
}

function plain(value: unknown): unknown {
  const u64 = value as { value?: unknown } | null | undefined;
  return typeof u64?.value === "bigint" ? u64.value : value;
}

test("what Rust writes is read by JavaScript", async ({ fromRust, KvU64, openKv, url }) => {
  const kv = await openKv(url);
  await fromRust();
  const expected = literals(KvU64);
  const listed = await all(kv.list({ prefix: ["rust"] }));
  assertEquals(listed.map(({ key }) => key[1]), Object.keys(expected).sort());
  for (const { key, value } of listed) {
    const name = key[1] as string;
    assertEquals(plain(value), plain(expected[name]), name);
  }
  kv.close();
});

test("what JavaScript writes is read by Rust", async ({ KvU64, openKv, toRust, url }) => {
  const kv = await openKv(url);
  for (const [name, value] of Object.entries(literals(KvU64))) {
    await kv.set(["js", name], value);
  }
  await toRust();
  kv.close();
});

test("limits are told by number, and by text", async ({ openKv, url }) => {
  const kv = await openKv(url);
  const limits: [string, () => Promise<unknown>, RegExp][] = [
    ["keys of a read", () => kv.getMany(Array.from({ length: 11 }, (_, at) => ["limit", at])), /10/],
    ["checks", () => {
      const operation = kv.atomic();
      for (let at = 0; at < 101; at += 1) operation.check({ key: ["limit", at], versionstamp: null });
      return operation.set(["limit"], 1).commit();
    }, /100/],
    ["mutations", () => {
      const operation = kv.atomic();
      for (let at = 0; at < 1_001; at += 1) operation.set(["limit", at], 1);
      return operation.commit();
    }, /1000/],
    ["bytes of a write", () => {
      const operation = kv.atomic();
      for (let at = 0; at < 14; at += 1) operation.set(["limit", at], new Uint8Array(60_000));
      return operation.commit();
    }, /819200/],
    ["bytes of a key", () => kv.set(["limit", "x".repeat(2_100)], 1), /2048/],
    ["bytes of a value", () => kv.set(["limit"], "x".repeat(65_600)), /65536/],
  ];
  for (const [what, work, says] of limits) {
    const error = await refusal(work);
    assert(says.test(error.message), () => `${what}: ${error.message}`);
  }
  assertEquals((await all(kv.list({ prefix: ["limit"] }))).length, 0);
  assertEquals((await kv.get(["limit"])).versionstamp, null);
  kv.close();
});

test("databases are apart by their paths", async ({ openKv, url }) => {
  const [main, orders] = [await openKv(url), await openKv(new URL("/orders", url).href)];
  await main.set(["where"], "main");
  assertEquals((await orders.get(["where"])).versionstamp, null);
  await orders.set(["where"], "orders");
  assertEquals((await main.get(["where"])).value, "main");
  main.close();
  orders.close();
});

test("a client goes on when the server comes back", async ({ name, openKv, restart, url }) => {
  const kv = await openKv(url);
  const [before, after] = [["before", name], ["after", name]];
  await kv.atomic().set(before, 1).set(after, 0).commit();
  // Where a server fails, the client of npm fails with it: what it waits for is rejected where nobody sees it.
  const reader = name === "deno" ? kv.watch([after]).getReader() : undefined;
  const shown = async () => (await within<Kv>(30_000, reader.read(), "a change")).value[0].value;
  if (reader) assertEquals(await shown(), 0);
  await restart();
  // It is another database: what was there is gone, and the client notices.
  const begun = Date.now();
  for (;;) {
    try {
      const { ok } = await within<Kv>(20_000, kv.set(after, 1), "a set");
      if (ok) break;
    } catch (error) {
      if (Date.now() - begun > 50_000) throw error;
      await new Promise((done) => setTimeout(done, 200));
    }
  }
  assertEquals((await kv.get(after)).value, 1);
  // Its watch does so, too.
  while (reader && await shown() !== 1);
  await reader?.cancel();
  assertEquals((await kv.get(before)).versionstamp, null);
  kv.close();
});
