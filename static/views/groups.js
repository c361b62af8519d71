// Groups: what each of them wants of its devices, how far these are, and what stops.

import * as api from "../api.js";
import { isOf, useData } from "../data.js";
import { Card, Empty, Loaded, Page } from "../parts/page.js";
import { Table } from "../parts/table.js";
import { Short } from "../parts/values.js";
import { to } from "../router.js";
import { mayChange } from "../session.js";
import { number } from "../text.js";
import { html, useState } from "../ui.js";
import { CreateGroup } from "./group/metadata.js";
import { descriptionOf, groupTitle } from "./group/names.js";
import { StateBar } from "./group/state_bar.js";
import { Stops } from "./group/stops.js";

const SHOWN_DESCRIPTION = 80;

export function Groups() {
    const groups = useData("groups", api.groups, (message) => isOf(message, "group", "device", "attempt"));
    const overview = useData("overview", api.overview, (message) => isOf(message, "group", "device", "devices", "attempt"));
    const [isCreating, setIsCreating] = useState(false);
    const create = html`<button type="button" class="primary" onClick=${() => setIsCreating(true)}>Create a group</button>`;
    const statesOf = new Map(overview.data?.groups.map(({ group, states }) => [group, states]));
    const list = ({ groups }) => (groups.length === 0 ? html`<${Nothing} />` : html`<${List} ...${{ groups, statesOf }} />`);
    return html`<${Page} title="Groups" actions=${mayChange.value && create}>
        <${Card}><${Loaded} of=${groups} show=${list} /><//>
        ${isCreating && html`<${CreateGroup} close=${() => setIsCreating(false)} />`}
    <//>`;
}

function Nothing() {
    return html`<${Empty} title="There is no group yet">
        <p>A group says which version its devices are to run, and has the packages that lead there. ${mayChange.value && "Create one to begin."}</p>
    <//>`;
}

function List({ groups, statesOf }) {
    const columns = [
        { name: "name", label: "Name", show: (group) => html`<${Name} ...${{ group }} />` },
        { name: "devices", label: "Devices", show: (group) => html`<${Devices} ...${{ group, states: statesOf.get(group.id) }} />` },
        { name: "target", label: "Version", show: ({ target }) => html`<${Target} of=${target} />` },
        { name: "packages", label: "Packages", isNumber: true, isMinor: true, show: ({ packages }) => number(packages.length) },
    ];
    return html`<${Table} label="Groups" rows=${groups} ...${{ columns }} />`;
}

function Target({ of }) {
    return of === null ? html`<span class="quiet nowrap">None wanted</span>` : html`<${Short} ...${{ of }} />`;
}

function Name({ group }) {
    const description = descriptionOf(group);
    return html`
        <div class="group-name">
            <a href=${to(["groups", group.id])}><bdi>${groupTitle(group)}</bdi></a>
            ${description !== null && html`<div class="hint"><${Short} of=${description} limit=${SHOWN_DESCRIPTION} /></div>`}
            <${Stops} ...${{ group }} />
        </div>
    `;
}

function Devices({ group, states }) {
    if (group.devices === 0) {
        return html`<span class="quiet">None</span>`;
    }
    return html`
        <div class="group-devices">${number(group.devices)}${states !== undefined && html`<${StateBar} ...${{ states }} />`}</div>
    `;
}
