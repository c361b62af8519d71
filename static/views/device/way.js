// The way that a device will take to the version that is wanted of it, drawn step by step.

import { Short } from "../../parts/values.js";
import { to } from "../../router.js";
import { bytes as written } from "../../text.js";
import { html } from "../../ui.js";

/** `runs` is its version now, `steps` the packages of the way: `{package, version, bytes}` each. */
export function Way({ runs, steps, bytes }) {
    return html`
        <ol class="way-of-device" aria-label="The way that it will take">
            <li class="stop-of-way"><span class="stop-version"><${Short} of=${runs} /></span><span class="aside">runs now</span></li>
            ${steps.map(
                ({ package: id, version, bytes }) => html`
                    <li key=${id} class="stop-of-way">
                        <span class="stop-version"><${Short} of=${version} /></span>
                        <span class="aside"><a href=${to(["packages", id])}>Package ${id}</a>, ${written(bytes)}</span>
                    </li>
                `,
            )}
        </ol>
        ${steps.length > 1 && html`<p class="hint">${written(bytes)} in all, one package after the other.</p>`}
    `;
}
