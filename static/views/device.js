// Device.

import { Card, Page } from "../parts/page.js";
import { html } from "../ui.js";

export function Device() {
    return html`<${Page} title="Device"><${Card}><p>Nothing here yet.</p><//><//>`;
}
