// What a device was offered, and what came of it.

import * as api from "../../api.js";
import { useData } from "../../data.js";
import { Card, Empty, Loaded } from "../../parts/page.js";
import { Table } from "../../parts/table.js";
import { Ago, Chip, Short } from "../../parts/values.js";
import { to } from "../../router.js";
import { bytes, span } from "../../text.js";
import { html, useState } from "../../ui.js";
import { mayMove } from "./messages.js";

const SHOWN_FIRST = 10;
/** The server keeps no more of a device. */
const ALL = 100;

const OUTCOMES = {
    succeeded: { tone: "good", label: "Succeeded", says: "It came back with the new version." },
    reverted: { tone: "bad", label: "Reverted", says: "It fetched everything and came back with the version from before." },
    failed: { tone: "bad", label: "Failed", says: "It fetched the package again and again." },
    superseded: { tone: "quiet", label: "Superseded", says: "Another package or version was wanted of it before it was done." },
    expired: { tone: "notable", label: "Expired", says: "It was not heard again, or did not go on." },
};
const STAGES = {
    offered: { tone: "busy", label: "Offered", says: "It has fetched nothing yet." },
    not_fetched: { tone: "notable", label: "Not fetched", says: "It was offered the package more than once, and has fetched nothing." },
    fetching: { tone: "busy", label: "Fetching", says: "It fetches the package." },
    installing: { tone: "busy", label: "Installing", says: "It has everything, and was not heard since." },
};

/** What has come of an attempt by now. */
export function AttemptState({ of: { outcome, stage } }) {
    const { tone, label, says } = OUTCOMES[outcome] ?? STAGES[stage] ?? { tone: "quiet", label: outcome ?? stage };
    return html`<${Chip} ...${{ tone }} title=${says}>${label}<//>`;
}

export function History({ device }) {
    const [limit, setLimit] = useState(SHOWN_FIRST);
    const found = useData(`${device.id} ${limit}`, () => api.deviceAttempts(device.id, { limit }), (message) => mayMove(message, device.id));
    const show = ({ attempts, next }) =>
        attempts.length === 0
            ? html`<${Empty} title="It was never offered anything.">What holds it back is said above.<//>`
            : html`
                  <${Table} label="Updates" columns=${COLUMNS} rows=${attempts} />
                  ${next !== null && limit < ALL && html`<p class="more"><button type="button" onClick=${() => setLimit(ALL)}>Show older ones</button></p>`}
              `;
    return html`<${Card} title="Updates so far"><${Loaded} of=${found} ...${{ show }} /><//>`;
}

const COLUMNS = [
    { name: "at", label: "Offered", show: ({ offered_at }) => html`<span class="line"><${Ago} at=${offered_at} /></span>` },
    {
        name: "what",
        label: "From → to",
        show: ({ from, to: brought, package: id }) => html`
            <${Short} of=${from} limit=${20} /> → <${Short} of=${brought} limit=${20} /> <a class="aside" href=${to(["packages", id])}>Package ${id}</a>
        `,
    },
    { name: "state", label: "Outcome", show: (attempt) => html`<${AttemptState} of=${attempt} />` },
    { name: "fetched", label: "Fetched", isMinor: true, show: (attempt) => html`<${Fetched} of=${attempt} />` },
    { name: "took", label: "Took", isMinor: true, show: (attempt) => html`<span class="line">${took(attempt)}</span>` },
];

function Fetched({ of: { stage, fetched, length } }) {
    const said = `${bytes(fetched)} of ${bytes(length)}`;
    return stage === "fetching"
        ? html`<progress value=${fetched} max=${length} aria-label="Fetched"></progress> <span class="aside">${said}</span>`
        : html`<span class="line">${fetched === length ? bytes(length) : said}</span>`;
}

function took({ offered_at: from, ended_at: until }) {
    return until === null ? "goes on" : span(Math.max(0, (Date.parse(until) - Date.parse(from)) / 1000));
}
