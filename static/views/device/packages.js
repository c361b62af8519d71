// The packages of a device's group, and what each means for the device.

import { Chip, Sentence, Text } from "../../parts/values.js";
import { to } from "../../router.js";
import { count } from "../../text.js";
import { html, useState } from "../../ui.js";

const SHOWN_FIRST = 8;

/** `packages` as the decision has them. Those of the way come first, then those that are in trouble. */
export function Considered({ packages, isOpen }) {
    const [isWhole, setIsWhole] = useState(false);
    const rank = ({ step, state }) => (step !== null ? step : state !== "whole" ? Number.MAX_SAFE_INTEGER - 1 : Number.MAX_SAFE_INTEGER);
    const sorted = [...packages].sort((one, other) => rank(one) - rank(other));
    const shown = isWhole ? sorted : sorted.slice(0, SHOWN_FIRST);
    const others = sorted.length - shown.length;
    return html`
        <details open=${isOpen}>
            <summary>What each of them means for it</summary>
            <ul class="considered">${shown.map((entry) => html`<${One} key=${entry.package} ...${entry} />`)}</ul>
            ${others > 0 && html`<button type="button" class="link" onClick=${() => setIsWhole(true)}>Show ${count(others, "other package")}</button>`}
        </details>
    `;
}

function One({ package: id, state, step, obstacles, sentence }) {
    const requirements = obstacles.filter(({ kind }) => kind === "requirement");
    const [tone, word] = part({ state, step, obstacles });
    // The sentence begins with the package: that is the way to it.
    const [name] = sentence.match(/^Package \d+/) ?? [""];
    return html`
        <li>
            <${Chip} ...${{ tone }}>${word}<//>
            <span class="package-sentence">${name && html`<a href=${to(["packages", id])}>${name}</a>`}<${Sentence} of=${sentence.slice(name.length)} /></span>
            ${requirements.length > 0 && html`<${Requirements} of=${requirements} />`}
        </li>
    `;
}

/** What the package means for the device, in a word. */
function part({ state, step, obstacles }) {
    if (state !== "whole") {
        return ["bad", state === "missing" ? "Missing" : "Corrupt"];
    }
    if (step !== null) {
        return ["busy", `Step ${step}`];
    }
    return obstacles.length === 0 ? ["quiet", "Not needed"] : ["notable", "Does not fit"];
}

/** What the package asks for, beside what the device reports, in full: sentences cut long values. */
function Requirements({ of }) {
    return html`
        <dl class="facts requirements">
            ${of.map(
                ({ key, required, reported }) => html`
                    <div key=${key}>
                        <dt><${Text} of=${key} limit=${100} /></dt>
                        <dd>asks for <strong><${Text} of=${required} limit=${120} /></strong>, reported ${
                            reported === null ? html`<span class="quiet">nothing</span>` : html`<strong><${Text} of=${reported} limit=${120} /></strong>`
                        }</dd>
                    </div>
                `,
            )}
        </dl>
    `;
}
