// node call.cjs <base URL> <key>
// For each line [method, arguments] of JSON, calls that method of the npm package @infobip-api/sdk and prints the
// result as {status, data}.
const { createInterface } = require("node:readline");
const { Infobip, AuthType } = require("@infobip-api/sdk");

const [baseUrl, apiKey] = process.argv.slice(2);
const { twoFA } = new Infobip({ baseUrl, apiKey, authType: AuthType.ApiKey }).service;
createInterface({ input: process.stdin }).on("line", async (line) => {
  const [method, given] = JSON.parse(line);
  const returned = await twoFA[method](...given);
  const { status, data } = returned.response ?? returned; // the package returns errors, too
  console.log(JSON.stringify({ status, data }));
});
