// Devices.

import { Card, Page } from "../parts/page.js";
import { html } from "../ui.js";

export function Devices() {
    return html`<${Page} title="Devices"><${Card}><p>Nothing here yet.</p><//><//>`;
}
