// The suite in Deno, with the client that it has built in.

import { run } from "./harness.ts";
import "./suite.ts";

const [url, control] = Deno.args;
const failed = await run({
  name: "deno",
  openKv: (url) => Deno.openKv(url),
  KvU64: Deno.KvU64,
  url,
  restart: async () => {
    const response = await fetch(control, { method: "POST" });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`the server was not started again: ${response.status}`);
  },
});
Deno.exit(failed === 0 ? 0 : 1);
