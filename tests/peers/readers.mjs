// What Node's dotenv readers read: {reader: [value or null, for each folder's .env]}.
// usage: node readers.mjs NODE_MODULES FOLDERS KEY, where FOLDERS holds 0/.env, 1/.env, …

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { parseEnv } from "node:util";

const [, , modules, folders, key] = process.argv;
const require = createRequire(join(modules, "any.js"));
const dotenv = require("dotenv");
const expand = require("dotenv-expand");
const flow = require("dotenv-flow");
const dotenvx = require("@dotenvx/dotenvx");
const next = require("@next/env");
const vite = await import(join(modules, "vite/dist/node/index.js"));
const silent = { info() {}, error() {} };

const readers = {
  "dotenv": (file) => dotenv.parse(readFileSync(file)),
  "dotenv-expand": (file) =>
    expand.expand({ parsed: dotenv.parse(readFileSync(file)), processEnv: {} }).parsed,
  "dotenv-flow": (file) => flow.parse(file),
  "dotenvx": (file) => dotenvx.parse(readFileSync(file, "utf8"), { processEnv: {} }),
  "@next/env": (file, folder) => next.loadEnvConfig(folder, true, silent, true).loadedEnvFiles[0].env,
  "vite": (file, folder) => vite.loadEnv("any", folder, ""),
  "node --env-file": (file) => parseEnv(readFileSync(file, "utf8")),
};

const read = (reader, folder) => {
  try {
    return reader(join(folder, ".env"), folder)?.[key] ?? null;
  } catch {
    return null;
  }
};

const seen = Object.fromEntries(Object.keys(readers).map((name) => [name, []]));
for (let index = 0; existsSync(join(folders, String(index), ".env")); index += 1) {
  for (const [name, reader] of Object.entries(readers)) {
    delete process.env[key];
    seen[name].push(read(reader, join(folders, String(index))));
  }
}
console.log(JSON.stringify(seen));
