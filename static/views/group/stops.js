// What holds the devices of a whole group back at the moment, in short.

import { Chip } from "../../parts/values.js";
import { count } from "../../text.js";
import { html } from "../../ui.js";
import { clockOf, hoursInWords, isWithin, readHours } from "./hours.js";

/** Chips for what stops; nothing if nothing does. */
export function Stops({ group }) {
    const { settings, progress } = group.rollout;
    if (group.target === null) {
        return null;
    }
    const { first, hours } = settings;
    const { reached, failed } = progress;
    const isFirstWave = first !== null && reached < first && group.devices > reached;
    return html`
        <span class="chips">
            ${group.halted !== null && html`<${Chip} tone="bad" title="Nothing is offered until somebody has looked.">Halted after ${count(failed, "failure")}<//>`}
            ${isClosed(hours) && html`<${Chip} tone="notable" title=${inWords(hours)}>Outside of its hours<//>`}
            ${isFirstWave && html`<${Chip} tone="notable" title="The rest begins when these have reached the version.">First wave: ${reached} of ${first}<//>`}
        </span>
    `;
}

/** Whether it is none of the hours now; where the browser does not know their zone, nobody can tell here. */
function isClosed(hours) {
    const clock = hours === null ? null : clockOf(hours.zone, new Date());
    return clock !== null && !isWithin(readHours(hours.windows).windows, clock);
}

/** Hours as the server writes them, in words. */
export function inWords({ windows, zone }) {
    return `${hoursInWords(readHours(windows).windows)}, by the clocks of ${zone}`;
}
