// What a device says of itself.

import { Card } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { Chip, Text } from "../../parts/values.js";
import { html, useId, useState } from "../../ui.js";

/** Of more than these, nobody finds one by looking. */
const SEARCHED_FROM = 10;

export function Metadata({ of: metadata }) {
    const [search, setSearch] = useState("");
    const id = useId();
    const all = Object.entries(metadata).map(([key, value]) => ({ id: key, value: typeof value === "string" ? value : JSON.stringify(value) }));
    const wanted = search.trim().toLowerCase();
    const rows = all.filter((row) => row.id.toLowerCase().includes(wanted) || row.value.toLowerCase().includes(wanted));
    const columns = [
        { name: "key", label: "Key", show: (row) => html`<${Text} of=${row.id} limit=${100} />` },
        { name: "value", label: "Value", show: ({ value }) => (value === "" ? html`<span class="quiet">empty</span>` : html`<${Text} of=${value} />`) },
    ];
    return html`
        <${Card} title="What it reports">
            ${all.length >= SEARCHED_FROM && html`
                <div class="field">
                    <label for=${id}>Search</label>
                    <input id=${id} type="search" autocomplete="off" spellcheck=${false} value=${search} onInput=${({ target }) => setSearch(target.value)} />
                </div>
            `}
            ${all.length === 0
                ? html`<p class="quiet">Nothing yet: it says that when it asks for updates.</p>`
                : rows.length === 0
                  ? html`<p class="quiet" role="status">Nothing of that is like “${search.trim()}”.</p>`
                  : html`<div class="reported"><${Table} label="What it reports" ...${{ columns, rows }} /></div>`}
        <//>
    `;
}

export function Capabilities({ of: capabilities }) {
    const names = Object.entries(capabilities).filter(([, is]) => is).map(([name]) => name);
    return html`
        <${Card} title="Capabilities">
            ${names.length === 0
                ? html`<p class="quiet">It has told of none.</p>`
                : html`<p class="chips">${names.map((name) => html`<${Chip} key=${name} tone="quiet"><${Text} of=${name} limit=${60} /><//>`)}</p>`}
        <//>
    `;
}
