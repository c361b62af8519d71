// Tables: columns that can be sorted, rows that can be chosen, and pages.

import { html } from "../ui.js";

/**
 * A table of `rows`, each with an `id` unless `rowId` says what tells it from others. `columns` are
 * `{name, label, show(row), sort?, isMinor?, isNumber?}`: `sort` is what the server calls the order; what is minor is left out on phones.
 * `sort` is the present order (`-` before it: descending) and `onSort` changes it. With `chosen`, a set, rows can be chosen;
 * `onChoose` gets the new set, and `describe` says what a row is called.
 */
export function Table({ label, columns, rows, rowId = (row) => row.id, sort, onSort, chosen, onChoose, describe }) {
    const isChosen = (row) => chosen.has(rowId(row));
    const choose = (some, is) => {
        const next = new Set(chosen);
        some.forEach((row) => (is ? next.add(rowId(row)) : next.delete(rowId(row))));
        onChoose(next);
    };
    const areAll = chosen !== undefined && rows.length > 0 && rows.every(isChosen);
    const all = html`
        <th class="choice">
            <input type="checkbox" aria-label="Choose all on this page" checked=${areAll} onChange=${() => choose(rows, !areAll)} />
        </th>
    `;
    const one = (row) => html`
        <td class="choice">
            <input type="checkbox" aria-label=${`Choose ${describe(row)}`} checked=${isChosen(row)} onChange=${() => choose([row], !isChosen(row))} />
        </td>
    `;
    return html`
        <div class="table-frame">
            <table aria-label=${label}>
                <thead>
                    <tr>${chosen && all}${columns.map((column) => html`<${Heading} key=${column.name} ...${{ column, sort, onSort }} />`)}</tr>
                </thead>
                <tbody>
                    ${rows.map(
                        (row) => html`
                            <tr key=${rowId(row)} class=${chosen && isChosen(row) ? "chosen" : ""}>
                                ${chosen && one(row)}
                                ${columns.map((column) => html`<td key=${column.name} class=${kind(column)}>${column.show(row)}</td>`)}
                            </tr>
                        `,
                    )}
                </tbody>
            </table>
        </div>
    `;
}

function Heading({ column, sort, onSort }) {
    if (column.sort === undefined || onSort === undefined) {
        return html`<th scope="col" class=${kind(column)}>${column.label}</th>`;
    }
    const isUp = sort === column.sort;
    const isDown = sort === `-${column.sort}`;
    const order = isUp ? "ascending" : isDown ? "descending" : "none";
    return html`
        <th scope="col" class=${kind(column)} aria-sort=${order}>
            <button type="button" class="sort" onClick=${() => onSort(isUp ? `-${column.sort}` : column.sort)}>
                ${column.label}<span class="sort-mark" aria-hidden="true">${isUp ? "▲" : isDown ? "▼" : ""}</span>
            </button>
        </th>
    `;
}

function kind({ isMinor, isNumber }) {
    return [isMinor && "minor", isNumber && "number"].filter(Boolean).join(" ");
}

/** The way through the pages of a list: `back` and `on` go there, and are `null` where there is nothing. */
export function Pages({ from, shown, total, back, on }) {
    if (total <= shown && back === null) {
        return null;
    }
    return html`
        <nav class="pages" aria-label="Pages">
            <button type="button" disabled=${back === null} onClick=${back}>Back</button>
            <span>${from + 1} – ${from + shown} of ${total}</span>
            <button type="button" disabled=${on === null} onClick=${on}>Next</button>
        </nav>
    `;
}
