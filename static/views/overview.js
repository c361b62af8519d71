// Overview.

import { Card, Page } from "../parts/page.js";
import { html } from "../ui.js";

export function Overview() {
    return html`<${Page} title="Overview"><${Card}><p>Nothing here yet.</p><//><//>`;
}
