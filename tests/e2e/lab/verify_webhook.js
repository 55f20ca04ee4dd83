// Reads {secret, headers, body} and says what the library makes of it.
const { Webhook } = require("standardwebhooks");
const input = JSON.parse(require("fs").readFileSync(0, "utf8"));
try {
  const events = new Webhook(input.secret).verify(input.body, input.headers);
  console.log(JSON.stringify({ ok: true, count: events.length }));
} catch (e) {
  console.log(JSON.stringify({ ok: false, why: e.message }));
}
