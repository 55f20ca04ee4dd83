// Holds objects against the schemas of Kubernetes and of the Prometheus operator:
// reads a list of objects, writes what is wrong with each, as JSON.  Fields that
// the schemas don't know are found by the compiler, from the types.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

const objects = JSON.parse(readFileSync(0, "utf8"));
const moduleOf = (o) =>
  (o.apiVersion.startsWith("monitoring.coreos.com/")
    ? "@kubernetes-models/prometheus-operator/"
    : "kubernetes-models/") + o.apiVersion;
const problems = [];
const lines = [];

for (const [i, o] of objects.entries()) {
  const types = await import(moduleOf(o)).catch(() => ({}));
  if (!types[o.kind]) {
    problems.push(`${o.apiVersion} ${o.kind}: no such kind`);
    continue;
  }
  try {
    new types[o.kind](o).validate();
  } catch (e) {
    problems.push(`${o.kind}: ${e.message}`);
  }
  lines.push(
    `import type { I${o.kind} as T${i} } from "${moduleOf(o)}";`,
    `export const o${i}: T${i} = ${JSON.stringify(o)};`,
  );
}
writeFileSync("objects.ts", lines.join("\n"));
try {
  execFileSync(
    "node",
    ["node_modules/typescript/lib/tsc.js", "--noEmit", "--skipLibCheck", "--strict"]
      .concat(["--target", "es2022", "--module", "es2022"])
      .concat(["--moduleResolution", "node", "objects.ts"]),
    { encoding: "utf8" },
  );
} catch (e) {
  problems.push(...e.stdout.split("\n").filter((line) => line.trim()));
}
console.log(JSON.stringify(problems));
