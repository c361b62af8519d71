// The versions of a group's devices and packages, and the ways between them: a drawing, and the same as a list.

import * as api from "../../api.js";
import { isOf, useData } from "../../data.js";
import { Card } from "../../parts/page.js";
import { count } from "../../text.js";
import { html, useMemo } from "../../ui.js";
import { layOut, placeLabels } from "./layout.js";
import { needsOf } from "./steps.js";
import { targetOf } from "./draft.js";
import { versionGraph } from "./version_graph.js";

/** More cannot be read as a drawing, and takes long to lay out. */
const MOST_NODES = 60;
const MOST_EDGES = 120;
const SIZE = { width: 136, height: 46, column: 112, row: 20, lane: 14 };
const LABEL_HEIGHT = 18;
const LABEL_GAP = 2;
const MARGIN = 12;
const SHOWN_TEXT = 14;
const ARROW = 7;
const ROLES = { taken: "devices go this way", possible: "no device goes this way", useless: "leads no device to the target" };

/** `shown` is the group with its draft, `steps` all packages by id, and `preview` what comes of it (`undefined` until it is known). */
export function GraphCard({ group, steps, shown, isDraft, preview }) {
    const overview = useData("overview", api.overview, (message) => isOf(message, "group", "device", "devices", "attempt"));
    const chosen = shown.packages.map((id) => steps.get(id)).filter(Boolean);
    const target = targetOf(shown.policy)?.trim() ? targetOf(shown.policy) : null;
    const devices = versionsOf(overview.data, group.id);
    const paths = preview?.paths.map(({ packages }) => packages) ?? [];
    const graph = versionGraph({ steps: chosen, target, paths, devices, hasDevices: group.devices > 0 });
    if (graph.edges.length === 0) {
        return null;
    }
    const isDrawn = graph.nodes.length <= MOST_NODES && graph.edges.length <= MOST_EDGES;
    return html`
        <${Card} title=${isDraft ? "Ways between versions, with the draft" : "Ways between versions"}>
            ${isDrawn && html`<${Drawing} ...${{ graph }} /><${Legend} />`}
            <details class="graph-list" open=${!isDrawn}>
                <summary>The same as a list</summary>
                <${List} ...${{ graph }} />
            </details>
        <//>
    `;
}

/** How many devices of the group report which version, of those that most of them report. */
function versionsOf(overview, group) {
    const versions = overview?.groups.find((entry) => entry.group === group)?.versions ?? [];
    return new Map(versions.map(({ version, devices }) => [version, devices]));
}

function Drawing({ graph }) {
    const { box, nodes, edges, labels } = useMemo(() => placesOf(graph), [signatureOf(graph)]);
    return html`
        <div class="graph-frame" tabindex="0" role="region" aria-label="Drawing of the ways between versions">
            <svg class="graph" viewBox=${box.join(" ")} width=${box[2]} height=${box[3]} role="img" aria-label=${summary(graph)}>
                ${edges.map((edge) => html`<${Line} key=${edge.id} ...${{ edge }} />`)}
                ${edges.map((edge, position) => html`<${Label} key=${edge.id} ...${{ edge }} at=${labels[position]} />`)}
                ${nodes.map((node) => html`<${Node} key=${node.id} ...${{ node }} />`)}
            </svg>
        </div>
    `;
}

/** Where all of it is drawn; what devices do comes above what they do not. */
function placesOf(graph) {
    const rank = ({ role }) => Object.keys(ROLES).indexOf(role);
    const drawn = graph.edges.filter(({ from, to }) => from !== to);
    const { width, height, nodes, edges } = layOut(graph.nodes, drawn, SIZE);
    const ordered = edges.toSorted((a, b) => rank(b) - rank(a));
    const box = [-MARGIN, -MARGIN, width + 2 * MARGIN, height + 2 * MARGIN];
    const widthOf = ({ steps }) => labelWidth(labelOf(steps)) + LABEL_GAP;
    return { box, nodes, edges: ordered, labels: placeLabels(ordered, { widthOf, height: LABEL_HEIGHT + LABEL_GAP }) };
}

/** Differs when the drawing does. */
function signatureOf({ nodes, edges }) {
    const shownNodes = nodes.map(({ id, devices, isTarget, isUseful }) => [id, devices, isTarget, isUseful]);
    return JSON.stringify([shownNodes, edges.map(({ id, role, steps }) => [id, role, steps.map((step) => step.id)])]);
}

function summary({ nodes, edges }) {
    return `${count(nodes.length, "version")} and ${count(edges.length, "way")} between them. The list below says the same.`;
}

function Node({ node: { x, y, version, devices, isTarget, isUseful } }) {
    const kind = ["node", isTarget && "target", version === null && "any", devices > 0 && "run", !isUseful && "faded"].filter(Boolean).join(" ");
    const name = version ?? "any version";
    const notes = [isTarget && "target", devices > 0 && count(devices, "device")].filter(Boolean).join(", ");
    const middle = x + SIZE.width / 2;
    return html`
        <g class=${kind}>
            <title>${name.slice(0, 1000)}</title>
            <rect x=${x} y=${y} width=${SIZE.width} height=${SIZE.height} rx="8" />
            <text x=${middle} y=${y + (notes === "" ? 28 : 20)}>${cut(name, SHOWN_TEXT)}</text>
            ${notes !== "" && html`<text class="node-notes" x=${middle} y=${y + 37}>${notes}</text>`}
        </g>
    `;
}

function Line({ edge: { points, role, isBack } }) {
    const direction = isBack ? -1 : 1;
    const end = points.at(-1);
    const head = `${end.x},${end.y} ${end.x - direction * ARROW},${end.y - 4} ${end.x - direction * ARROW},${end.y + 4}`;
    return html`<g class=${`edge ${role}`}><path d=${pathOf(points)} /><polygon points=${head} /></g>`;
}

function Label({ edge: { role, steps }, at: { x, y } }) {
    const label = labelOf(steps);
    const width = labelWidth(label);
    return html`
        <g class=${`edge ${role}`}>
            <title>${steps.map((step) => `Package ${step.id}: ${needsOf(step)}`).join("\n")}</title>
            <rect class="edge-label" x=${x - width / 2} y=${y - LABEL_HEIGHT / 2} width=${width} height=${LABEL_HEIGHT} rx="9" />
            <text ...${{ x }} y=${y + 4}>${label}</text>
        </g>
    `;
}

/** About as wide as it is drawn. */
function labelWidth(label) {
    return 8 + label.length * 7;
}

function labelOf(steps) {
    const ids = steps.map(({ id }) => `#${id}`);
    return ids.length > 2 ? `${ids[0]} +${ids.length - 1}` : ids.join(" ");
}

/** A line that leaves and comes level. */
function pathOf([first, ...rest]) {
    let [path, before] = [`M${first.x} ${first.y}`, first];
    for (const point of rest) {
        const middle = (before.x + point.x) / 2;
        path += `C${middle} ${before.y} ${middle} ${point.y} ${point.x} ${point.y}`;
        before = point;
    }
    return path;
}

function cut(text, length) {
    return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

function Legend() {
    return html`
        <ul class="legend">
            <li><span class="legend-line taken" aria-hidden="true"></span>Devices go this way</li>
            <li><span class="legend-line possible" aria-hidden="true"></span>No device goes this way</li>
            <li><span class="legend-line useless" aria-hidden="true"></span>Leads no device to the target</li>
        </ul>
    `;
}

function List({ graph: { nodes, edges } }) {
    const names = new Map(nodes.map(({ id, version }) => [id, version === null ? "any version" : cut(version, 60)]));
    const running = nodes.filter(({ devices }) => devices > 0);
    return html`
        <ul>
            ${edges.map(({ id, from, to, steps, role }) => html`
                <li key=${id}>
                    From <bdi>${names.get(from)}</bdi> to <bdi>${names.get(to)}</bdi> by ${steps.map((step) => `package ${step.id}`).join(" or ")}:
                    ${" "}${from === to ? "it brings what it asks for, so nobody gets it" : ROLES[role]}.
                </li>
            `)}
            ${running.map(({ id, devices, isTarget }) => html`
                <li key=${id}>${count(devices, "device runs", "devices run")} <bdi>${names.get(id)}</bdi>${isTarget && ", the target"}.</li>
            `)}
        </ul>
    `;
}
