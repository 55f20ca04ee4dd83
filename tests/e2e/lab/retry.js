// A client as applications have it: nodemailer with a pool, and a retry that
// goes to the next relay.  Sends until it reads the end of its input, and says
// then what it sent.
const nodemailer = require("nodemailer");
const [name, domain, ...relays] = process.argv.slice(2);
const pools = relays.map((where) => {
  const [host, port] = where.split(":");
  return nodemailer.createTransport({
    host, port: Number(port), pool: true, maxConnections: 3,
    maxMessages: 20, ignoreTLS: true, connectionTimeout: 15000,
  });
});
const said = { sent: [], retries: [], failed: [] };
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
let over = false;

async function send(to) {
  let error;
  for (let n = 0; n < 30; n++) {
    try {
      await pools[(said.sent.length + n) % pools.length].sendMail({
        from: "app@sender.lab.test", to, subject: to, text: "hello\n",
      });
      said.sent.push(to);
      return;
    } catch (e) {
      error = e;
      said.retries.push(`${e.code} ${e.command || ""} ${e.message}`);
      await pause(50);
    }
  }
  said.failed.push(`${to}: ${error.message}`);
}

async function work(n) {
  for (let i = 0; !over; i++) await send(`${name}-${n}-${i}@${domain}`);
}

process.stdin.on("end", () => { over = true; }).resume();
Promise.all([0, 1, 2, 3].map(work)).then(() => {
  pools.forEach((p) => p.close());
  console.log(JSON.stringify(said));
});
