/** Lay out what the function app serves of the client: `node web.mjs TARGET [NODE_MODULES]`. Copies, and no more. */

import { cpSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

const HERE = import.meta.dirname;
const [target, modules = join(HERE, "node_modules")] = process.argv.slice(2);
if (!target) {
  console.error("error: no target folder; say where to, as in: node web.mjs ../../models/edge/web");
  process.exit(2);
}

const RUNTIME = ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"];

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
for (const name of RUNTIME) cpSync(join(modules, "onnxruntime-web", "dist", name), join(target, name));
for (const folder of ["src", "demo"]) {
  for (const name of readdirSync(join(HERE, folder)).filter((each) => !each.endsWith(".d.ts"))) {
    cpSync(join(HERE, folder, name), join(target, name === "index.js" ? "recserve-edge.js" : name));
  }
}
