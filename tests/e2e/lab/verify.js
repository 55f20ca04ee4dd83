// Verifies the DKIM signatures of a message on stdin with mailauth.
// Arguments: address and port of the DNS server.  Prints a list of
// {domain, selector, algorithm, result, comment}.
const { Resolver } = require('dns').promises;
const { dkimVerify } = require('mailauth/lib/dkim/verify');

const [ip, port] = process.argv.slice(2);
const dns = new Resolver();
dns.setServers([`${ip}:${port}`]);

async function main() {
    const chunks = [];
    for await (const chunk of process.stdin) chunks.push(chunk);
    const found = await dkimVerify(Buffer.concat(chunks), {
        resolver: (name, type) => dns.resolve(name, type),
    });
    console.log(JSON.stringify(found.results.map((r) => ({
        domain: r.signingDomain,
        selector: r.selector,
        algorithm: r.algo,
        result: r.status.result,
        comment: r.status.comment,
    }))));
}

main();
