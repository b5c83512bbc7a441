// Cuts GitHub's own OpenAPI description down to what the sink speaks to: the whole of it is 70 MB.
// usage: node describe.mjs DESCRIPTION OUTPUT

import { readFileSync, writeFileSync } from "node:fs";

const [, , from, to] = process.argv;
const whole = JSON.parse(readFileSync(from, "utf8"));
const spoken = [
  /^\/repos\/\{owner\}\/\{repo\}$/,
  /^\/orgs\/\{org\}\/repos$/,
  /^\/repos\/\{owner\}\/\{repo\}\/environments$/,
  /^\/(repos\/\{owner\}\/\{repo\}|orgs\/\{org\})\/(actions|dependabot|codespaces)\/secrets(\/|$)/,
  /^\/repos\/\{owner\}\/\{repo\}\/environments\/\{environment_name\}\/secrets(\/|$)/,
];
const paths = Object.entries(whole.paths).filter(([path]) => spoken.some((one) => one.test(path)));
if (paths.length < 20) throw new Error(`only ${paths.length} paths were found`);
writeFileSync(to, JSON.stringify({ ...whole, paths: Object.fromEntries(paths), components: {} }));
