// Activity.

import { Card, Page } from "../parts/page.js";
import { html } from "../ui.js";

export function Activity() {
    return html`<${Page} title="Activity"><${Card}><p>Nothing here yet.</p><//><//>`;
}
