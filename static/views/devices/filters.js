// What narrows the list of devices down, with the values that there are.

import { Choice, SearchField } from "../../parts/filters.js";
import { FIRST_PAGE } from "../../parts/paging.js";
import { STATES } from "../../parts/values.js";
import { refine, route } from "../../router.js";
import { beginning, number } from "../../text.js";
import { html } from "../../ui.js";
import { groupOptions, LONG_OPTION } from "./groups.js";

const NOT_REPORTED = "–";

/** `overview` is that of the fleet, as soon as it is there. */
export function Filters({ overview, groups }) {
    const { parameters } = route.value;
    // Another list begins at its beginning.
    const narrow = (change) => refine({ ...change, ...FIRST_PAGE });
    const states = Object.entries(STATES).map(([state, { label }]) => [state, counted(label, overview?.states[state])]);
    return html`
        <div class="tools devices-tools">
            <${SearchField} label="Search" hint="Name, MAC address, metadata" value=${parameters.search} change=${(search) => narrow({ search })} />
            <${Choice} label="State" value=${parameters.state} options=${[["", "All states"], ...states]} change=${(state) => narrow({ state })} />
            <${Choice} label="Group" value=${parameters.group} change=${(group) => narrow({ group })}
                options=${[["", "All groups"], ["none", "In no group"], ...withPresent(groupOptions(groups), parameters.group, (id) => `Group ${id}`)]} />
            <${ReportedChoice} label="Type" name="type" all="All types" found=${overview?.types} ...${{ parameters, narrow }} />
            <${ReportedChoice} label="Version" name="version" all="All versions" found=${overview?.versions} ...${{ parameters, narrow }} />
        </div>
    `;
}

/** A choice of what devices report; one may also look for those that don't. */
function ReportedChoice({ label, name, all, found = [], parameters, narrow }) {
    // A value may be anything: a mark before it tells it from the other choices.
    const options = found.filter((entry) => entry[name] !== null).map((entry) => [`=${entry[name]}`, counted(entry[name], entry.devices)]);
    const given = parameters[name];
    const value = parameters.without === name ? NOT_REPORTED : given ? `=${given}` : "";
    const change = (chosen) => {
        const others = parameters.without === name ? undefined : parameters.without;
        narrow(
            chosen === NOT_REPORTED
                ? { [name]: undefined, without: name }
                : { [name]: chosen === "" ? undefined : chosen.slice(1), without: others },
        );
    };
    const known = withPresent(options, given && `=${given}`, () => beginning(given, LONG_OPTION));
    return html`<${Choice} ...${{ label, value, change }} options=${[["", all], ...known, [NOT_REPORTED, "Not reported"]]} />`;
}

/** The options, with the present value if it is none of them. */
function withPresent(options, value, label) {
    const isThere = value === undefined || value === "" || value === "none" || options.some(([key]) => String(key) === value);
    return isThere ? options : [...options, [value, label(value)]];
}

function counted(label, devices) {
    const text = beginning(label, LONG_OPTION);
    return devices === undefined ? text : `${text} (${number(devices)})`;
}
