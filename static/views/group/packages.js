// The packages of a group, in their order: added, removed and moved.

import { CancelButton, Dialog } from "../../parts/dialog.js";
import { SearchField } from "../../parts/filters.js";
import { Table } from "../../parts/table.js";
import { Chip, Short } from "../../parts/values.js";
import { to } from "../../router.js";
import { bytes, count } from "../../text.js";
import { html, useLayoutEffect, useRef, useState } from "../../ui.js";
import { moved } from "./draft.js";
import { needsOf } from "./steps.js";

/** More are found by searching. */
const SHOWN_PACKAGES = 30;
/** As much of a version as one wants to hear. */
const SPOKEN_VERSION = 40;

/** `chosen` are the ids of the packages, `steps` all that there are, by id. `edit` changes the draft; without it they are only shown. */
export function PackagesPart({ chosen, steps, edit }) {
    const [isAdding, setIsAdding] = useState(false);
    const [said, setSaid] = useState("");
    const list = useRef(null);
    const focus = useRef(null);
    useLayoutEffect(() => {
        if (focus.current !== null) {
            const { id, name } = focus.current;
            focus.current = null;
            const buttons = [...(list.current?.querySelectorAll(`[data-package="${id}"] button`) ?? [])].filter((button) => !button.disabled);
            (buttons.find((button) => button.name === name) ?? buttons[0] ?? list.current)?.focus();
        }
    });
    const move = (position, next, name) => {
        focus.current = { id: chosen[position], name };
        setSaid(`Package ${chosen[position]} is number ${next + 1} of ${chosen.length} now.`);
        edit({ packages: moved(chosen, position, next) });
    };
    const remove = (position) => {
        focus.current = { id: chosen[position + 1] ?? chosen[position - 1] };
        setSaid(`Package ${chosen[position]} is taken out.`);
        edit({ packages: chosen.filter((_, other) => other !== position) });
    };
    const add = (ids) => {
        edit({ packages: [...chosen, ...ids] });
        setSaid(`${count(ids.length, "package")} added.`);
        setIsAdding(false);
    };
    const others = [...steps.values()].filter(({ id }) => !chosen.includes(id));
    const addButton = html`<button type="button" onClick=${() => setIsAdding(true)}>Add packages</button>`;
    return html`
        <div class="title part">
            <h3>Packages</h3>
            ${edit !== null && addButton}
        </div>
        <p class="unseen" role="status">${said}</p>
        ${chosen.length === 0 && html`<p class="quiet">None: nothing leads its devices to another version.</p>`}
        <ol class="package-list" ref=${list} tabindex="-1">
            ${chosen.map((id, position) => html`
                <li key=${id} data-package=${id}>
                    <${Step} step=${steps.get(id)} ...${{ id }} />
                    ${edit !== null && html`<${Buttons} ...${{ id, position, last: chosen.length - 1, move, remove }} />`}
                </li>
            `)}
        </ol>
        ${chosen.length > 1 && html`<p class="hint">Of ways with equally many steps, packages higher up win.</p>`}
        ${isAdding && html`<${AddPackages} close=${() => setIsAdding(false)} ...${{ others, add }} />`}
    `;
}

function Step({ id, step }) {
    if (step === undefined) {
        return html`<span class="step">Package ${id} <${Chip} tone="bad">Deleted<//></span>`;
    }
    return html`
        <span class="step">
            <a href=${to(["packages", id])}><${Short} of=${step.version || "no version"} /></a>
            ${step.state !== "whole" && html` <${Chip} tone="bad" title="It is not offered.">${step.state}<//>`}
            <span class="hint step-needs"><bdi>${needsOf(step)}</bdi></span>
            <span class="hint step-length">Package ${id}, ${bytes(step.length)}</span>
        </span>
    `;
}

function Buttons({ id, position, last, move, remove }) {
    const button = (name, label, shown, disabled, onClick) =>
        html`<button type="button" class="small" aria-label=${label} ...${{ name, disabled, onClick }}>${shown}</button>`;
    const what = `package ${id}`;
    return html`
        <span class="step-buttons">
            ${button("up", `Move ${what} up`, "↑", position === 0, () => move(position, position - 1, "up"))}
            ${button("down", `Move ${what} down`, "↓", position === last, () => move(position, position + 1, "down"))}
            ${button("remove", `Remove ${what}`, "Remove", false, () => remove(position))}
        </span>
    `;
}

function AddPackages({ others, close, add }) {
    const [search, setSearch] = useState("");
    const [chosen, setChosen] = useState(new Set());
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    const found = others.filter((step) => {
        const text = `${step.id} ${step.version} ${step.type} ${needsOf(step)}`.toLowerCase();
        return words.every((word) => text.includes(word));
    });
    // Who adds a package mostly wants one of the latest.
    const rows = found.toReversed().slice(0, SHOWN_PACKAGES);
    const columns = [
        { name: "version", label: "Version", show: ({ version }) => html`<${Short} of=${version || "no version"} />` },
        { name: "needs", label: "Leads", show: (step) => html`<bdi>${needsOf(step)}</bdi>` },
        { name: "id", label: "Package", isNumber: true, isMinor: true, show: ({ id }) => id },
        { name: "length", label: "Size", isNumber: true, isMinor: true, show: ({ length }) => html`<span class="nowrap">${bytes(length)}</span>` },
    ];
    const describe = ({ id, version }) => `package ${id}, ${version.slice(0, SPOKEN_VERSION)}`;
    const table = html`<${Table} label="Packages" onChoose=${setChosen} ...${{ columns, rows, chosen, describe }} />`;
    const nothing =
        others.length === 0
            ? html`<p class="quiet">The group has all packages that there are. <a href=${to(["packages"])}>Upload another</a>.</p>`
            : html`<p class="quiet">No package has these words.</p>`;
    const ids = [...chosen].filter((id) => others.some((step) => step.id === id));
    return html`
        <${Dialog} title="Add packages" class="wide" ...${{ close }}>
            <${SearchField} label="Search" value=${search} change=${setSearch} />
            <div class="dialog-list">
                ${rows.length > 0 ? table : nothing}
            </div>
            ${found.length > rows.length && html`<p class="hint">${count(found.length - rows.length, "more package")}: search to find them.</p>`}
            <div class="actions">
                <button type="button" class="primary" disabled=${ids.length === 0} onClick=${() => add(ids)}>
                    ${ids.length === 0 ? "Add" : `Add ${count(ids.length, "package")}`}
                </button>
                <${CancelButton} ...${{ close }} />
            </div>
        <//>
    `;
}
