// Makes a gateway.yaml of any size that reads like one that a large organisation would write: services with resources,
// several matches per route, scopes, roles, tiers, own and shared limits.

const RESOURCES = ["orders", "invoices", "users", "modules", "reports", "files", "devices", "events"];

/** The text of a valid file with `routes` routes, without a warning. */
export function largeFile(routes: number): string {
  const services = Math.ceil(routes / 20);
  const lines = ["issuers:", "  corp: { issuer: https://login.example.com/, audience: api }"];
  lines.push("tiers:", "  guest: 10/h", "  user: 100/h");
  for (let index = 0; index < 40; index++) lines.push(`  plan-${index}: ${1_000 + index}/h`);
  lines.push("roles:");
  for (let index = 0; index < services; index++) {
    lines.push(`  team-${index}: { scopes: ["service-${index}:*"], tier: plan-${index % 40} }`);
  }
  lines.push("apiKeys:");
  for (let index = 0; index < services; index++) {
    const hash = index.toString(16).padStart(64, "0");
    lines.push(`  - { id: key-${index}, hash: "sha256:${hash}", roles: [team-${index}] }`);
  }
  lines.push("upstreams:");
  for (let index = 0; index < services; index++)
    lines.push(`  service-${index}: http://service-${index}.internal:8080`);
  lines.push("defaults: { auth: [jwt, apiKey] }", "routes:");
  for (let index = 0; index < routes; index++) lines.push(...route(index));
  return `${lines.join("\n")}\n`;
}

function route(index: number): readonly string[] {
  const service = Math.floor(index / 20);
  const resource = `${RESOURCES[index % RESOURCES.length]}-${index % 20}`;
  const base = `/service-${service}/v1/${resource}`;
  const lines = [
    `  - name: service-${service}.${resource}`,
    `    match: [GET ${base}, "GET,PUT,PATCH ${base}/:id", DELETE ${base}/:id/*]`,
    `    to: service-${service}`,
    `    scopes: { any: [service-${service}:read, service-${service}:${resource}] }`,
  ];
  if (index % 4 === 0) lines.push("    limit: [100/min per user, tier]");
  if (index % 4 === 1)
    lines.push(`    limit: { rate: 1000/h, per: org, name: shared-${service}, onStoreFailure: local }`);
  if (index % 4 === 2) lines.push(`    limit: { tier: true, per: user, name: plan-of-${service % 7} }`);
  if (index % 4 === 3) lines.push(`    roles: [team-${service}]`);
  return lines;
}
