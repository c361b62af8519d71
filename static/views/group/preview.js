// What a policy and packages mean for the devices of a group: how many go which way, and what keeps the others.

import { Short } from "../../parts/values.js";
import { to } from "../../router.js";
import { asSentence, bytes, count, number, span } from "../../text.js";
import { html } from "../../ui.js";

/** What of devices is counted: the name, the count, and whether it is left out where there are none; the others are where nothing is wanted. */
const ROWS = [
    ["Up to date", ({ up_to_date }) => up_to_date.devices],
    ["Have a way there", ({ paths }) => paths.reduce((sum, { devices }) => sum + devices, 0)],
    ["Have no way there", ({ blocked }) => blocked.reduce((sum, { devices }) => sum + devices, 0)],
    ["Stay as they are", ({ without_target }) => without_target.devices, true],
    ["Have too many ways to look at", ({ undecided }) => undecided.devices, true],
    ["Do not report what they run", ({ unreported }) => unreported.devices, true],
];

/** `now` is the group as it is, `planned` with the draft, which is the same without one. `steps` are all packages, by id. */
export function Preview({ now, planned, isDraft, steps }) {
    if (planned.devices === 0) {
        return html`<p class="quiet">The group has no devices, so nothing comes of it yet.</p>`;
    }
    const shown = isDraft ? [now, planned] : [planned];
    const hasSteps = shown.some(({ bytes, first_step_bytes: first }) => first !== bytes);
    const isTimed = shown.some(({ bytes, time }) => bytes > 0 && time.seconds !== null);
    const isWanted = shown.some(({ target }) => target !== null);
    const rows = ROWS.filter(([, of, isRare]) => (!isRare && isWanted) || shown.some((preview) => of(preview) > 0));
    return html`
        <table class="compare" aria-label="Devices by what becomes of them">
            ${isDraft && html`<${Head} />`}
            <tbody>
                ${rows.map(([name, of]) => html`<${Row} key=${name} ...${{ name }} values=${shown.map((preview) => number(of(preview)))} />`)}
                ${isWanted && html`<${Row} name="To send in all" values=${shown.map((preview) => bytes(preview.bytes))} />`}
                ${hasSteps && html`<${Row} name="At first" values=${shown.map((preview) => bytes(preview.first_step_bytes))} />`}
                ${isTimed && html`<${Row} name="Takes at least" values=${shown.map(timeOf)} />`}
            </tbody>
        </table>
        ${isTimed && planned.time.depends_on_hours && html`<p class="hint">That is at the usual rate: other rates hold in some hours.</p>`}
        <${Ways} ...${{ planned, steps }} />
        <${Blocked} ...${{ planned }} />
    `;
}

function Head() {
    return html`
        <thead>
            <tr><td></td><th scope="col" class="number">Now</th><th scope="col" class="number">With the draft</th></tr>
        </thead>
    `;
}

function Row({ name, values }) {
    const [first, last] = [values[0], values.at(-1)];
    return html`<tr>
        <th scope="row">${name}</th>
        ${values.map((value, position) => html`<td key=${position} class=${position > 0 && first !== last ? "number changed" : "number"}>${value}</td>`)}
    </tr>`;
}

function timeOf({ bytes, time: { seconds } }) {
    return bytes === 0 || seconds === null ? "–" : span(Math.max(1, seconds));
}

function Ways({ planned: { paths, target }, steps }) {
    if (paths.length === 0) {
        return null;
    }
    return html`
        <h3>Ways to <${Short} of=${target} /></h3>
        <ul class="ways">
            ${paths.map(({ packages, devices, examples, bytes: length }) => html`
                <li key=${packages.join()}>
                    <span><strong>${count(devices, "device")}</strong> <span class="quiet">(${bytes(length)})</span></span>
                    <${Way} ...${{ packages, steps }} start=${steps.get(packages[0])?.from ?? null} />
                    <${Examples} ...${{ devices, examples }} />
                </li>
            `)}
        </ul>
    `;
}

/** From version to version; the packages are the ways to them. */
function Way({ packages, steps, start }) {
    return html`
        <ol class="way">
            <li>${start === null ? "any version" : html`<${Short} of=${start} limit=${20} />`}</li>
            ${packages.map((id) => html`
                <li key=${id}>
                    <a href=${to(["packages", id])} title=${`Package ${id}`}>
                        <${Short} of=${steps.get(id)?.version || `package ${id}`} limit=${20} />
                    </a>
                </li>
            `)}
        </ol>
    `;
}

function Blocked({ planned: { blocked, undecided, unreported, target } }) {
    return html`
        ${blocked.length > 0 && html`<h3>No way to <${Short} of=${target} /></h3>`}
        <ul class="ways">
            ${blocked.map(({ devices, examples, packages }) => html`
                <li key=${examples[0]}>
                    <strong>${count(devices, "device")}</strong>${" "}
                    <${Examples} ...${{ devices, examples }} />
                    <${Reasons} ...${{ packages, device: examples[0] }} />
                </li>
            `)}
        </ul>
        <${Note} of=${undecided}>
            the packages can be combined in too many ways to find one. Take out those that they do not need.
        <//>
        <${Note} of=${unreported}>their version or type was not reported yet.<//>
    `;
}

/** Devices about which there is one thing to say. */
function Note({ of: { devices, examples }, children }) {
    return devices > 0 && html`<p>${count(devices, "device")}: ${children}${" "}<${Examples} ...${{ devices, examples }} /></p>`;
}

function Reasons({ packages, device }) {
    if (packages.length === 0) {
        return html`<p class="hint">The group has no packages.</p>`;
    }
    return html`
        <details>
            <summary>What keeps device ${device} from each package</summary>
            <ul>${packages.map(({ package: id, sentence }) => html`<li key=${id}><bdi>${asSentence(sentence)}</bdi></li>`)}</ul>
        </details>
    `;
}

function Examples({ devices, examples }) {
    const between = (position) => (position === 0 ? "" : ", ");
    return html`
        <span class="hint examples">
            ${devices > examples.length && "such as "}
            ${examples.map((id, position) => html`${between(position)}<a href=${to(["devices", id])}>device ${id}</a>`)}
        </span>
    `;
}
