// The suite in Deno, with the client that it has built in.

import { ask, run } from "./harness.ts";
import "./suite.ts";

const [url, control] = Deno.args;
const failed = await run({
  name: "deno",
  openKv: (url) => Deno.openKv(url),
  KvU64: Deno.KvU64,
  url,
  openKvWith: async (url, token) => {
    const name = "DENO_KV_ACCESS_TOKEN";
    const right = Deno.env.get(name) ?? "";
    Deno.env.set(name, token);
    try {
      return await Deno.openKv(url);
    } finally {
      Deno.env.set(name, right);
    }
  },
  restart: () => ask(control, "restart"),
  fromRust: () => ask(control, "from-rust"),
  toRust: () => ask(control, "to-rust"),
});
Deno.exit(failed === 0 ? 0 : 1);
