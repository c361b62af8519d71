// What to do first on a new server; gone when it is done.

import { Card } from "../../parts/page.js";
import { to } from "../../router.js";
import { html } from "../../ui.js";

/** The steps, and whether each is done. */
function steps({ fleet, server, groups }) {
    const { whole, corrupt, missing } = server.packages;
    const group = groups.length === 1 ? to(["groups", groups[0].id]) : "#/groups";
    return [
        {
            title: "Let a device in",
            isDone: fleet.devices > 0,
            says: server.pending_registrations > 0
                ? html`A device waits: <a href="#/registrations">compare its key and accept it</a>.`
                : html`
                      Point a device at <code>${location.origin}</code> (the README says how), or simulate one:
                      ${" "}<code>tender simulate --server ${location.origin} --devices 1</code>. Then accept it among the
                      ${" "}<a href="#/registrations">registrations</a>.
                  `,
        },
        {
            title: "Upload a package",
            isDone: whole + corrupt + missing > 0,
            says: html`An image or artifact with a newer version, <a href="#/packages">among the packages</a>.`,
        },
        {
            title: "Make a group",
            isDone: groups.length > 0,
            says: html`<a href="#/groups">A group</a> holds devices, and the packages that they may get.`,
        },
        {
            title: "Set its policy",
            isDone: groups.some(({ target }) => target !== null),
            says: html`It names the version that the devices of the group should run: <a href=${group}>open the group</a>.`,
        },
    ];
}

export function areDone(known) {
    return steps(known).every(({ isDone }) => isDone);
}

export function FirstSteps(known) {
    const all = steps(known);
    const next = all.findIndex(({ isDone }) => !isDone);
    return html`
        <${Card} title="First steps">
            <ol class="steps">
                ${all.map(({ title, isDone, says }, position) => html`
                    <li key=${title} class=${isDone ? "first-step done-step" : "first-step"} aria-current=${position === next ? "step" : null}>
                        <span class="step-mark" aria-hidden="true">${isDone ? "✓" : position + 1}</span>
                        <div><strong>${title}</strong>${isDone ? html`<span class="unseen"> (done)</span>` : html`<p>${says}</p>`}</div>
                    </li>
                `)}
            </ol>
        <//>
    `;
}
