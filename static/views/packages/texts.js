// How packages are told of.

import { DEVICE_TYPE, VERSION } from "../../uploads/description.js";
import { Chip, Text } from "../../parts/values.js";
import { html } from "../../ui.js";

export { DEVICE_TYPE, VERSION };

const BRIEF = 80;
const BRIEF_IN_NAMES = 40;
/** Characters that change the direction of what follows. */
const TURNS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const STATES = {
    whole: { label: "Whole", tone: "good", says: "The file is what was uploaded, as far as anybody has looked." },
    corrupt: { label: "Corrupt", tone: "bad", says: "The file is not what was uploaded: devices are not offered it." },
    missing: { label: "Missing", tone: "bad", says: "The file is not there: devices are not offered it." },
};

/** The beginning of a text that may be long. */
export function brief(text, limit = BRIEF) {
    const whole = String(text ?? "");
    return whole.length > limit ? `${whole.slice(0, limit)}…` : whole;
}

/** What a package is called in a sentence, and in titles: where it cannot be kept apart, a text must not turn what follows around. */
export function packageName({ metadata }) {
    const [version, type] = [VERSION, DEVICE_TYPE].map((key) => brief(String(metadata[key]).replace(TURNS, ""), BRIEF_IN_NAMES));
    return `${version} for ${type}`;
}

/** Whether its file is what it should be. */
export function PackageState({ of }) {
    const { label, tone, says } = STATES[of] ?? { label: of, tone: "quiet" };
    return html`<${Chip} tone=${tone} title=${says}>${label}<//>`;
}

/** Keys and values below one another, both not ours; a value may be a list, of which one is meant. */
export function Pairs({ of }) {
    return html`<ul class="pairs">${of.map(([key, value]) => html`<li key=${key}><span class="quiet"><${Text} of=${key} limit=${BRIEF} /> is </span><${Values} of=${[value].flat()} /></li>`)}</ul>`;
}

/** Texts, one of which is meant. */
export function Values({ of }) {
    return of.length === 0 ? html`<span class="quiet">none</span>` : of.map((value, index) => html`${index > 0 && " or "}<${Text} key=${index} of=${value} />`);
}
