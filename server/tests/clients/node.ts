// The suite in Node, with the package `@deno/kv`.

import { KvU64, openKv } from "@deno/kv";
import process from "node:process";
import { ask, run } from "./harness.ts";
import "./suite.ts";

const [url, control] = process.argv.slice(2);
const failed = await run({
  name: "node",
  openKv: (url) => openKv(url, { accessToken: process.env.DENO_KV_ACCESS_TOKEN }),
  KvU64,
  url,
  openKvWith: (url, token) => openKv(url, { accessToken: token }),
  restart: () => ask(control, "restart"),
  fromRust: () => ask(control, "from-rust"),
  toRust: () => ask(control, "to-rust"),
});
process.exit(failed === 0 ? 0 : 1);
