// The suite in Node, with the package `@deno/kv`.

import { KvU64, openKv } from "@deno/kv";
import process from "node:process";
import { run } from "./harness.ts";
import "./suite.ts";

const [url, control] = process.argv.slice(2);
const failed = await run({
  name: "node",
  openKv: (url) => openKv(url, { accessToken: process.env.DENO_KV_ACCESS_TOKEN }),
  KvU64,
  url,
  restart: async () => {
    const response = await fetch(control, { method: "POST" });
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`the server was not started again: ${response.status}`);
  },
});
process.exit(failed === 0 ? 0 : 1);
