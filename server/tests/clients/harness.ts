// A few tests, one after the other, in whatever runtime: no runner has to be installed for them.

/** What a suite is given: the client of a runtime, and what differs between runtimes. */
export interface Runtime {
  name: "deno" | "node";
  // deno-lint-ignore no-explicit-any
  openKv(url: string): Promise<any>;
  /** The same, with another token than that of the server. */
  // deno-lint-ignore no-explicit-any
  openKvWith(url: string, token: string): Promise<any>;
  // deno-lint-ignore no-explicit-any
  KvU64: new (value: bigint) => any;
  /** The address of the server that was started for this. */
  url: string;
  /** Has the server ended and started again, at the same address. */
  restart(): Promise<void>;
  /** Has the command line set each of the `LITERALS` below `["rust"]`. */
  fromRust(): Promise<void>;
  /** Has the command line look at each of them below `["js"]`, whether it is what it should be. */
  toRust(): Promise<void>;
}

type Body = (runtime: Runtime) => Promise<void>;

const tests: { name: string; body: Body }[] = [];

/** Adds a test. Its name says what is so. */
export function test(name: string, body: Body): void {
  tests.push({ name, body });
}

/** Runs all of them; how many failed. */
export async function run(runtime: Runtime): Promise<number> {
  let failed = 0;
  for (const { name, body } of tests) {
    try {
      await within(60_000, body(runtime), name);
      console.log(`${runtime.name}: ${name} ... ok`);
    } catch (error) {
      failed += 1;
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      console.log(`${runtime.name}: ${name} ... FAILED\n${text}`);
    }
  }
  console.log(`${runtime.name}: ${tests.length - failed} passed, ${failed} failed`);
  return failed;
}

/** Has whoever has started this do something. */
export async function ask(control: string, what: string): Promise<void> {
  const response = await fetch(new URL(what, control), { method: "POST" });
  const text = await response.text();
  if (!response.ok) throw new Error(`${what}: ${response.status} ${text}`);
}

/** What comes of something, if it comes in time. */
export async function within<T>(millis: number, work: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${millis} ms`)), millis);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Fails, unless it is so. */
export function assert(is: boolean, what: () => string): asserts is {
  if (!is) throw new Error(what());
}

/** Fails, unless both are the same all the way down. */
export function assertEquals(got: unknown, expected: unknown, what = ""): void {
  assert(isEqual(got, expected), () => `${what}: got ${show(got)}, and not ${show(expected)}`);
}

/** What a promise was refused with. */
export async function refusal(work: () => Promise<unknown>): Promise<Error> {
  try {
    await work();
  } catch (error) {
    return error as Error;
  }
  throw new Error("it was not refused");
}

function show(value: unknown): string {
  const text = (value: unknown) => typeof value === "bigint" ? `${value}n` : value;
  return JSON.stringify(value, (_, value) => text(value)) ?? String(value);
}

// deno-lint-ignore no-explicit-any
function isEqual(one: any, other: any): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== "object" || typeof other !== "object" || !one || !other) return false;
  const kind = (value: object) => Object.prototype.toString.call(value);
  if (kind(one) !== kind(other)) return false;
  if (one instanceof Date) return one.getTime() === other.getTime();
  if (one instanceof RegExp) return String(one) === String(other);
  if (one instanceof Error) return one.name === other.name && one.message === other.message;
  if (one instanceof ArrayBuffer) return isEqual(new Uint8Array(one), new Uint8Array(other));
  if (one instanceof Map) return isEqual([...one], [...other]);
  if (one instanceof Set) return isEqual([...one], [...other]);
  const [mine, theirs] = [Object.keys(one), Object.keys(other)];
  return mine.length === theirs.length && mine.every((key) => isEqual(one[key], other[key]));
}
