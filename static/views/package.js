// Package.

import { Card, Page } from "../parts/page.js";
import { html } from "../ui.js";

export function Package() {
    return html`<${Page} title="Package"><${Card}><p>Nothing here yet.</p><//><//>`;
}
