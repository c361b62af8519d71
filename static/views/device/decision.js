// Why a device is offered what it is offered, or nothing: the conclusion, the way that it will take, and the whole chain.

import * as api from "../../api.js";
import { useData } from "../../data.js";
import { ActionButton, Outcome, say, useOutcome } from "../../parts/outcome.js";
import { Card, Loaded } from "../../parts/page.js";
import { Sentence } from "../../parts/values.js";
import { mayChange } from "../../session.js";
import { html } from "../../ui.js";
import { mayMove } from "./messages.js";
import { Considered } from "./packages.js";
import { Way } from "./way.js";

const LINKS = {
    known: "Known",
    accepted: "Accepted",
    reported: "Reports",
    group: "Group",
    policy: "Policy",
    packages: "Packages",
    path: "Path",
    rollout: "Rollout",
    offer: "Offer",
};
const OUTCOMES = {
    ok: { mark: "✓", says: "holds" },
    stops_here: { mark: "■", says: "stops here" },
    not_reached: { mark: "", says: "not reached" },
};

/** Conclusions that are no trouble: the device is where it should be. */
const RESTS_AT = ["policy"];
const TIMED_HOLDS = ["outside_hours", "first_wave", "too_many_at_once", "behind_others"];

export function Decision({ device }) {
    const found = useData(device.id, () => api.decision(device.id), (message) => mayMove(message, device.id));
    return html`
        <${Card} title="What it is offered, and why">
            <${Loaded} of=${found} show=${(decision) => html`<${Told} ...${{ decision, device }} reload=${found.reload} />`} />
        <//>
    `;
}

function Told({ decision: { sentence, steps }, device, reload }) {
    const found = Object.fromEntries(steps.map(({ name, data }) => [name, data ?? {}]));
    const hold = found.rollout.hold ?? null;
    // Packages are looked at one by one when none of them leads on.
    const isStuck = steps.some(({ name, outcome }) => outcome === "stops_here" && ["packages", "path"].includes(name));
    return html`
        <p class=${`conclusion ${tone(steps, hold)}`}><${Sentence} of=${sentence} /></p>
        ${found.path.path && html`<${Way} runs=${found.policy.runs} steps=${found.path.path} bytes=${found.path.bytes} />`}
        ${hold?.kind === "pausing" && mayChange.value && html`<${Release} ...${{ device, reload }} />`}
        <ol class="chain" aria-label="From its address to an offer">
            ${steps.map((step) => html`<${Link} key=${step.name} ...${step} isOpen=${isStuck} />`)}
        </ol>
    `;
}

function Link({ name, outcome, sentence, data, isOpen }) {
    const { mark, says } = OUTCOMES[outcome];
    return html`
        <li class=${`link-of-chain ${outcome}`}>
            <span class="link-mark" role="img" aria-label=${says}>${mark}</span>
            <strong class="link-name">${LINKS[name] ?? name}</strong>
            <div class="link-says">
                ${sentence === null ? html`<span class="quiet">not reached</span>` : html`<${Sentence} of=${sentence} />`}
                ${data?.packages?.length > 0 && html`<${Considered} packages=${data.packages} ...${{ isOpen }} />`}
            </div>
        </li>
    `;
}

/** Ends the pause of a device. */
function Release({ device, reload }) {
    const outcome = useOutcome();
    const act = async () => {
        await api.releaseDevice(device.id);
        say("The device is offered the package again when it asks.");
        reload();
    };
    return html`
        <div class="notice next">
            <span>If what made it fail is mended, it need not wait for the end of the pause.</span>
            <${ActionButton} of=${outcome} ...${{ act }} label="Offer it again now" busyLabel="Releasing…" />
        </div>
        <${Outcome} of=${outcome} />
    `;
}

/** How good the conclusion is. */
function tone(steps, hold) {
    const stop = steps.find(({ outcome }) => outcome === "stops_here");
    if (stop === undefined) {
        return "busy";
    }
    if (RESTS_AT.includes(stop.name)) {
        return stop.data.target === null ? "quiet" : "good";
    }
    if (stop.name === "group") {
        return "quiet";
    }
    return TIMED_HOLDS.includes(hold?.kind) ? "notable" : "bad";
}
