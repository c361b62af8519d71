// The policy of a group: update nothing, or reach a version.

import { Text } from "../../parts/values.js";
import { html, useId, useState } from "../../ui.js";
import { NO_UPDATE, policyFor, targetOf } from "./draft.js";

const NOTHING = "nothing";
const TYPED = "typed";
const SHOWN_VERSION = 60;

/** `edit` changes the draft; without it, the policy is only shown. `steps` are those of the group's packages. */
export function PolicyPart({ policy, steps, edit }) {
    const target = targetOf(policy);
    if (edit === null) {
        return target === null
            ? html`<p>They stay as they are: no version is wanted of them.</p>`
            : html`<p>They are to reach <strong><${Text} of=${target} limit=${SHOWN_VERSION} /></strong>.</p>`;
    }
    return html`<${PolicyFields} ...${{ target, steps, edit }} />`;
}

function PolicyFields({ target, steps, edit }) {
    const versions = [...new Set(steps.map(({ version }) => version))].filter((version) => version.trim() !== "").sort(byNumbers);
    const [isTyping, setIsTyping] = useState(false);
    const isOther = target !== null && !versions.includes(target);
    const isTyped = target !== null && (isTyping || isOther);
    const [id, typedId] = [useId(), useId()];
    const choose = ({ target: { value } }) => {
        setIsTyping(value === TYPED);
        edit({ policy: value === NOTHING ? NO_UPDATE : policyFor(value === TYPED ? "" : versions[Number(value)]) });
    };
    const chosen = target === null ? NOTHING : isTyped ? TYPED : String(versions.indexOf(target));
    const type = ({ target: { value } }) => {
        setIsTyping(true);
        edit({ policy: policyFor(value) });
    };
    const cut = (version) => (version.length > SHOWN_VERSION ? `${version.slice(0, SHOWN_VERSION)}…` : version);
    return html`
        <div class="field">
            <label for=${id}>Version to reach</label>
            <select id=${id} value=${chosen} onChange=${choose}>
                <option value=${NOTHING}>None: devices stay as they are</option>
                ${versions.map((version, position) => html`<option key=${version} value=${String(position)}>${cut(version)}</option>`)}
                <option value=${TYPED}>Another version…</option>
            </select>
        </div>
        ${isTyped && html`
            <div class="field">
                <label for=${typedId}>Version, as devices report it</label>
                <input id=${typedId} type="text" value=${target} onInput=${type} autocapitalize="none" autocomplete="off" spellcheck=${false} />
                ${isOther && target.trim() !== "" && html`<p class="hint">None of the packages brings it.</p>`}
            </div>
        `}
    `;
}

function byNumbers(a, b) {
    return b.localeCompare(a, undefined, { numeric: true });
}
