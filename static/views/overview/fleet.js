// The fleet in numbers, each a way to the devices behind it.

import { Bars } from "../../parts/bars.js";
import { Card } from "../../parts/page.js";
import { Short, STATES } from "../../parts/values.js";
import { to } from "../../router.js";
import { count } from "../../text.js";
import { html } from "../../ui.js";

/** As many as of versions and types. */
const SHOWN_GROUPS = 20;
/** How states stand beside one another: what is well first, then what is not. */
const ORDER = ["up_to_date", "updating", "waiting", "failing", "blocked", "silent", "no_target"];

export function ByState({ fleet: { devices, states } }) {
    const bars = Object.entries(STATES).map(([state, { label, tone }]) => ({
        key: state,
        label,
        value: states[state] ?? 0,
        tone,
        href: to(["devices"], { state }),
    }));
    return html`<${Card} title=${count(devices, "device")}><${Bars} label="Devices by state" ...${{ bars }} whole=${devices} /><//>`;
}

export function ByVersion({ fleet: { devices, versions, other_versions: others } }) {
    return html`<${Card} title="Versions"><${Bars} label="Devices by version" bars=${reported("version", versions, others)} whole=${devices} /><//>`;
}

export function ByType({ fleet: { devices, types, other_types: others } }) {
    return html`<${Card} title="Types"><${Bars} label="Devices by type" bars=${reported("type", types, others)} whole=${devices} /><//>`;
}

function reported(name, entries, others) {
    const bars = entries.map((entry) => {
        const value = entry[name];
        return value === null
            ? { key: "null", label: "not reported", value: entry.devices, tone: "quiet", href: to(["devices"], { without: name }) }
            : { key: `=${value}`, label: html`<${Short} of=${value} />`, value: entry.devices, href: to(["devices"], { [name]: value }) };
    });
    return others === 0 ? bars : [...bars, { key: "others", label: "others", value: others, tone: "quiet" }];
}

export function ByGroup({ fleet: { groups }, names }) {
    const most = [...groups].sort((one, other) => other.devices - one.devices);
    const others = most.slice(SHOWN_GROUPS).reduce((sum, { devices }) => sum + devices, 0);
    const bars = most.slice(0, SHOWN_GROUPS).map(({ group, devices, states }) => ({
        key: String(group),
        label: group === null ? "in no group" : html`<${Short} of=${names.get(group) ?? `Group ${group}`} />`,
        value: devices,
        parts: ORDER.map((state) => ({ key: state, label: STATES[state].label, tone: STATES[state].tone, value: states[state] ?? 0 })),
        href: to(["devices"], { group: group ?? "none" }),
    }));
    const all = others === 0 ? bars : [...bars, { key: "others", label: "others", value: others, tone: "quiet" }];
    return html`<${Card} title="Groups"><${Bars} label="Devices by group" bars=${all} whole=${Math.max(...all.map(({ value }) => value))} /><//>`;
}
