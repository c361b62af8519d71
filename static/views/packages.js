// Packages: those that there are, and the uploads that become more.

import * as api from "../api.js";
import { isOf, useData } from "../data.js";
import { Card, Empty, Loaded, Page } from "../parts/page.js";
import { Pages, Table } from "../parts/table.js";
import { Ago, Chip } from "../parts/values.js";
import { refine, route, to } from "../router.js";
import { mayChange } from "../session.js";
import { bytes, count, number } from "../text.js";
import { requirementsOf } from "../uploads/description.js";
import { html, useMemo } from "../ui.js";
import { ChooseFiles, DropPlace, Uploads } from "./packages/uploads.js";
import { Groups, useGroupNames } from "./packages/groups.js";
import { brief, DEVICE_TYPE, PackageState, VERSION } from "./packages/texts.js";

const ON_A_PAGE = 50;
const LATEST_FIRST = "-id";
const COLLATOR = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
const SORTED_BY = {
    id: (row) => row.id,
    version: (row) => row.metadata[VERSION],
    type: (row) => row.metadata[DEVICE_TYPE],
    size: (row) => row.length,
    state: (row) => row.state,
};

export function Packages() {
    const found = useData("packages", fetchAll, (message) => isOf(message, "package", "group"));
    return html`
        <${Page} title="Packages" actions=${mayChange.value && html`<${ChooseFiles} />`}>
            ${mayChange.value && html`<${DropPlace} /><${Uploads} />`}
            <${Card}><${Loaded} of=${found} show=${(rows) => html`<${List} ...${{ rows }} />`} /><//>
        <//>
    `;
}

/** All packages: there are few. When they were uploaded is what the frozen API knows. */
async function fetchAll() {
    const [packages, stored] = await Promise.all([api.all(api.packages, "packages"), api.storedPackages()]);
    const byId = new Map(stored.map((entry) => [entry.id, entry]));
    return packages.map((row) => {
        const { created = null, sha256 = "" } = byId.get(row.id) ?? {};
        return { ...row, created, searched: [row.id, sha256, JSON.stringify(row.metadata), row.artifact?.name].join("\n").toLowerCase() };
    });
}

function List({ rows }) {
    const { search = "", sort = LATEST_FIRST, page = "1" } = route.value.parameters;
    const names = useGroupNames();
    const found = useMemo(() => sorted(searched(rows, search), sort), [rows, search, sort]);
    if (rows.length === 0) {
        return html`<${Empty} title="There are no packages yet.">
            <p>${mayChange.value ? "Drop files anywhere here, or press Upload packages. Then assign them to a group." : "Somebody who may change things can upload some."}</p>
        <//>`;
    }
    const from = Math.min(Math.max(0, Number.parseInt(page, 10) - 1 || 0), Math.ceil(found.length / ON_A_PAGE) - 1) * ON_A_PAGE;
    const shown = found.slice(Math.max(0, from), from + ON_A_PAGE);
    const turn = (by) => () => refine({ page: from / ON_A_PAGE + 1 + by });
    return html`
        <div class="tools">
            <div class="field search">
                <label for="search">Search</label>
                <input
                    id="search"
                    type="search"
                    value=${search}
                    placeholder="Version, type, SHA-256"
                    onInput=${({ currentTarget }) => refine({ search: currentTarget.value, page: null })}
                />
            </div>
            <p class="found" role="status">${found.length === rows.length ? count(rows.length, "package") : `${number(found.length)} of ${count(rows.length, "package")}`}</p>
        </div>
        ${
            found.length === 0
                ? html`<${Empty} title="No package is found."><button type="button" onClick=${() => refine({ search: null })}>Show all packages</button><//>`
                : html`<${Table} label="Packages" columns=${columns(names)} rows=${shown} sort=${sort} onSort=${(order) => refine({ sort: order, page: null })} />`
        }
        <${Pages}
            from=${from}
            shown=${shown.length}
            total=${found.length}
            back=${from > 0 ? turn(-1) : null}
            on=${from + ON_A_PAGE < found.length ? turn(1) : null}
        />
    `;
}

/** The packages in which every word is found. */
function searched(rows, search) {
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    return rows.filter((row) => words.every((word) => row.searched.includes(word)));
}

function sorted(rows, sort) {
    const by = SORTED_BY[sort.replace("-", "")] ?? SORTED_BY.id;
    const sign = sort.startsWith("-") ? -1 : 1;
    const compare = (a, b) => (typeof a === "number" ? a - b : COLLATOR.compare(brief(a), brief(b)));
    return [...rows].sort((a, b) => sign * (compare(by(a), by(b)) || a.id - b.id));
}

function columns(names) {
    return [
        { name: "version", label: "Version", sort: "version", show: (row) => html`<${Version} ...${{ row }} />` },
        { name: "type", label: "Device type", sort: "type", show: (row) => html`<bdi>${brief(row.metadata[DEVICE_TYPE])}</bdi>` },
        { name: "requires", label: "Requires", isMinor: true, show: (row) => html`<${Requires} ...${{ row }} />` },
        { name: "state", label: "State", sort: "state", show: (row) => html`<${PackageState} of=${row.state} />` },
        { name: "groups", label: "Groups", isMinor: true, show: (row) => html`<${Groups} ids=${row.groups} most=${3} ...${{ names }} />` },
        { name: "size", label: "Size", sort: "size", isMinor: true, isNumber: true, show: (row) => html`<span class="nowrap">${bytes(row.length)}</span>` },
        { name: "uploaded", label: "Uploaded", sort: "id", isMinor: true, show: (row) => html`<span class="nowrap"><${Ago} at=${row.created} /></span>` },
    ];
}

function Version({ row: { id, metadata, artifact } }) {
    return html`
        <a class="package-version" href=${to(["packages", String(id)])}><bdi>${brief(metadata[VERSION])}</bdi></a>
        <span class="quiet package-id" title=${`Package ${id}`}>#${id}</span>
        ${artifact !== null && html` <${Chip} tone="quiet" title="An artifact: it says itself what it is.">artifact<//>`}
    `;
}

/** What a device must report: of many the first few. */
function Requires({ row }) {
    const requirements = requirementsOf(row.metadata);
    const few = requirements.slice(0, 3);
    return html`
        ${requirements.length === 0 && html`<span class="quiet">nothing</span>`}
        ${few.map(([key, value]) => html`<div key=${key} class="requirement"><bdi>${brief(key === VERSION ? "version" : key)}</bdi> <bdi>${brief(value)}</bdi></div>`)}
        ${requirements.length > few.length && html`<span class="quiet">and ${requirements.length - few.length} more</span>`}
    `;
}
