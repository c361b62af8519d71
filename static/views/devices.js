// Devices: all of them, page by page, narrowed down by what the address says.

import * as api from "../api.js";
import { isOf, useData } from "../data.js";
import { listen } from "../live.js";
import { Card, Empty, Loaded, Page } from "../parts/page.js";
import { CursorPages, FIRST_PAGE } from "../parts/paging.js";
import { Table } from "../parts/table.js";
import { Ago, Short, State } from "../parts/values.js";
import { refine, route, to } from "../router.js";
import { mayChange } from "../session.js";
import { beginning, count } from "../text.js";
import { html, useEffect, useState } from "../ui.js";
import { ChosenBar } from "./devices/change.js";
import { Filters } from "./devices/filters.js";
import { GroupLink, LONG_OPTION, useGroups } from "./devices/groups.js";
import { concernsDevices, useHeard } from "./devices/heard.js";
import { asked, CLEARED, isNarrow } from "./devices/query.js";

export function Devices() {
    const { parameters } = route.value;
    const { groups, names } = useGroups();
    const overview = useData("overview", api.overview, (message) => isOf(message, "attempt", "device", "group") || concernsDevices(message, []));
    const [chosen, setChosen] = useChosen();
    const found = useData(
        JSON.stringify(asked(parameters)) + (parameters.without ?? ""),
        () => api.devices(asked(parameters)),
        (message) => isOf(message, "attempt", "device", "group", "package") || concernsDevices(message, found.data?.devices ?? []),
    );
    const done = () => {
        setChosen(new Map());
        found.reload();
    };
    return html`
        <${Page} title="Devices" actions=${html`<${Total} of=${found.data} />`}>
            <${Card}>
                <${Filters} overview=${overview.data} groups=${groups} />
                <${Loaded} of=${found} show=${(page) => html`<${Found} ...${{ page, names, chosen, setChosen }} />`} />
                ${chosen.size > 0 && html`<${ChosenBar} ...${{ chosen, groups, done }} clear=${() => setChosen(new Map())} />`}
            <//>
        <//>
    `;
}

/** The chosen devices by their identifiers, without those that somebody removes meanwhile. */
function useChosen() {
    const [chosen, setChosen] = useState(() => new Map());
    useEffect(() => listen((message) => {
        if (message.type === "device.removed") {
            const gone = new Set(message.data.devices);
            setChosen((before) => new Map([...before].filter(([id]) => !gone.has(id))));
        }
    }), []);
    return [chosen, setChosen];
}

function Total({ of: page }) {
    const found = isNarrow(route.value.parameters) ? " found" : "";
    return html`<span class="quiet" role="status">${page && `${count(page.total, "device")}${found}`}</span>`;
}

function Found({ page: { devices: rows, next, total }, names, chosen, setChosen }) {
    const { path, parameters } = route.value;
    const heard = useHeard(rows);
    if (rows.length === 0 && parameters.after !== undefined) {
        return html`
            <${Empty} title="There is nothing on this page any more.">
                <a href=${to(path, { ...parameters, ...FIRST_PAGE })}>Go to the first page</a>
            <//>
        `;
    }
    if (rows.length === 0) {
        return isNarrow(parameters) ? html`<${NoMatch} />` : html`<${NoDevices} />`;
    }
    const choose = (ids) => {
        const known = new Map([...chosen, ...rows.map((row) => [row.id, row])]);
        setChosen(new Map([...ids].map((id) => [id, known.get(id)])));
    };
    const describe = ({ name }) => beginning(name, LONG_OPTION);
    const choosing = mayChange.value ? { chosen: new Set(chosen.keys()), onChoose: choose, describe } : {};
    return html`
        <div class="devices">
            <${Table} label="Devices" columns=${columns(names)} rows=${rows.map(heard)} sort=${parameters.sort ?? "id"}
                onSort=${(sort) => refine({ sort, ...FIRST_PAGE })} ...${choosing} />
        </div>
        <${CursorPages} shown=${rows.length} ...${{ next, total }} />
    `;
}

const columns = (names) => [
    { name: "name", label: "Name", sort: "name", show: ({ id, name }) => html`<a class="cell name" href=${to(["devices", id])}><${Short} of=${name} /></a>` },
    { name: "state", label: "State", show: ({ state }) => html`<${State} of=${state} />` },
    { name: "version", label: "Version", sort: "version", show: ({ version }) => html`<${Reported} of=${version} />` },
    { name: "group", label: "Group", isMinor: true, show: ({ group }) => html`<span class="cell"><${GroupLink} id=${group} ...${{ names }} /></span>` },
    { name: "type", label: "Type", sort: "type", isMinor: true, show: ({ type }) => html`<${Reported} of=${type} />` },
    { name: "heard", label: "Last heard", sort: "last_access", show: (row) => html`<span class="line"><${Ago} at=${row.last_access} /></span>` },
    { name: "mac", label: "MAC address", sort: "mac_address", isMinor: true, show: (row) => html`<span class="line"><${Short} of=${row.mac_address} /></span>` },
];

function Reported({ of: value }) {
    return value === null ? html`<span class="quiet line">not reported</span>` : html`<span class="cell"><${Short} of=${value} /></span>`;
}

function NoMatch() {
    return html`
        <${Empty} title="No device is like that.">
            <button type="button" onClick=${() => refine(CLEARED)}>Clear the filters</button>
        <//>
    `;
}

function NoDevices() {
    return html`
        <${Empty} title="There are no devices yet.">
            <p>Point a device at this server, and it asks to be let in. Accept it among the <a href="#/registrations">registrations</a>, and it is here.</p>
            <p>To try things out without one: <code>tender simulate --server ${location.origin} --devices 1</code></p>
        <//>
    `;
}
