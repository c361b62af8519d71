// Packages.

import { Card, Page } from "../parts/page.js";
import { html } from "../ui.js";

export function Packages() {
    return html`<${Page} title="Packages"><${Card}><p>Nothing here yet.</p><//><//>`;
}
