// How packages are told of.

import { DEVICE_TYPE, VERSION } from "../../uploads/description.js";
import { Chip } from "../../parts/values.js";
import { html } from "../../ui.js";

export { DEVICE_TYPE, VERSION };

const BRIEF = 80;
const STATES = {
    whole: { label: "Whole", tone: "good", says: "The file is what was uploaded, as far as anybody has looked." },
    corrupt: { label: "Corrupt", tone: "bad", says: "The file is not what was uploaded: devices are not offered it." },
    missing: { label: "Missing", tone: "bad", says: "The file is not there: devices are not offered it." },
};

/** The beginning of a text that may be long. */
export function brief(text) {
    const whole = String(text ?? "");
    return whole.length > BRIEF ? `${whole.slice(0, BRIEF)}…` : whole;
}

/** What a package is called in a sentence. */
export function packageName({ metadata }) {
    return `${brief(metadata[VERSION])} for ${brief(metadata[DEVICE_TYPE])}`;
}

/** Whether its file is what it should be. */
export function PackageState({ of }) {
    const { label, tone, says } = STATES[of] ?? { label: of, tone: "quiet" };
    return html`<${Chip} tone=${tone} title=${says}>${label}<//>`;
}
