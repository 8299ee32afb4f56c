// Draws the CPU time per request of each row as a bar.

import type { Report } from "./report.ts";

const WIDTH = 900;
const LABEL = 320;
const VALUE = 80;
const BAR = 22;
const STEP = 30;
const TOP = 64;
const COLORS: Readonly<Record<string, string>> = { Gatewarden: "#2563eb" };
const OTHER_COLOR = "#94a3b8";

/** The figures of a report as an SVG picture that needs nothing from outside. */
export function picture({ figures, machine }: Report): string {
  const longest = Math.max(1, ...figures.map((figure) => figure.median.cpuUs));
  const scale = (WIDTH - LABEL - VALUE) / longest;
  const bars = figures.map(({ title, peer, median }, i) => {
    const y = TOP + i * STEP;
    const width = Math.max(1, median.cpuUs * scale);
    const text = y + BAR / 2 + 5;
    return `  <text x="${LABEL - 10}" y="${text}" text-anchor="end">${escapeXml(title)}</text>
  <rect x="${LABEL}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="3" fill="${COLORS[peer] ?? OTHER_COLOR}"/>
  <text x="${(LABEL + width + 8).toFixed(1)}" y="${text}">${median.cpuUs.toFixed(1)}</text>`;
  });
  const height = TOP + figures.length * STEP + 16;
  const caption = `${machine.cpu}, one core, Node.js ${machine.node}, ${machine.date.slice(0, 10)}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="14" role="img" aria-label="CPU time per request">
  <title>CPU time per request</title>
  <rect width="${WIDTH}" height="${height}" fill="#ffffff"/>
  <text x="16" y="26" font-size="17" font-weight="bold">CPU time per request, µs (less is better)</text>
  <text x="16" y="46" font-size="12" fill="#475569">${escapeXml(caption)}</text>
${bars.join("\n")}
</svg>
`;
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
