// Sends what is meant for the Upstash Developer API to the stand-in: its address is fixed in the CLI.

const { fetch } = globalThis;
const standIn = process.env.UPSTASH_FAKE;

globalThis.fetch = (input, options) =>
  fetch(String(input).replace("https://api.upstash.com/v2", standIn), options);
