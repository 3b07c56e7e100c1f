// node call.cjs <base URL> <key> <method> <arguments, a JSON array>
// Calls a method of the npm package @infobip-api/sdk; prints what it returns as {status, data}.
const { Infobip, AuthType } = require("@infobip-api/sdk");

const [baseUrl, apiKey, method, given] = process.argv.slice(2);
const { twoFA } = new Infobip({ baseUrl, apiKey, authType: AuthType.ApiKey }).service;
twoFA[method](...JSON.parse(given)).then((returned) => {
  const { status, data } = returned.response ?? returned; // it returns errors, too
  console.log(JSON.stringify({ status, data }));
});
